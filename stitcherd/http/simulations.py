"""The threads in which simulations run: few, with a time limit, and none of those that jobs need."""

import asyncio
import re
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from stitcherd.errors import Refusal
from stitcherd.http.slots import Slots

SIMULATIONS_EACH = 1  # at once, of one token
SIMULATIONS_MAX = 2  # of all tokens; as many of the operator
SIMULATION_SECONDS = 60.0


class SimulationThreads:
    """Runs simulations, and refuses those that are too many."""

    def __init__(self) -> None:
        self._slots = Slots("simulations", each=SIMULATIONS_EACH, total=SIMULATIONS_MAX)
        self._threads = ThreadPoolExecutor(2 * SIMULATIONS_MAX, thread_name_prefix="simulation")

    @asynccontextmanager
    async def take(self, token: str | None) -> AsyncIterator[ThreadPoolExecutor]:
        """Yield the threads to one simulation of a token, or of the operator (None).

        Raise Refusal if too many are running, or if this one takes too long.
        """
        with self._slots.take(token):
            try:
                async with asyncio.timeout(SIMULATION_SECONDS):
                    yield self._threads
            except TimeoutError:
                raise Refusal(
                    "invalid",
                    f"the simulation took longer than {SIMULATION_SECONDS:g} s",
                    "simulate fewer deliveries with limit or since",
                ) from None
            finally:
                re.purge()  # its cache would keep the globs of the last 512 texts
