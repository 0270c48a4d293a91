"""Ends what runs in sessions of the gateway, now or as soon as the gateway is there."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat

from stitcherd.executors.openclaw.connection import Address, Connection, connect
from stitcherd.executors.openclaw.faults import Lost, Refused
from stitcherd.executors.openclaw.preparing import archive
from stitcherd.executors.openclaw.reference import Reference

ENDING_SECONDS = 0.7  # that the end of a run is waited for; twice, if the connection is bad, within two seconds
FORGETTING_SECONDS = 600.0  # after which a run that cannot be ended is left to the gateway
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between two tries to connect; the last one repeats

log = logging.getLogger(__name__)


class Ending:
    """Keeps at what could not be ended yet: a gateway that is down would go on with it when it is back."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._left: set[asyncio.Task[None]] = set()

    async def end(self, reference: Reference) -> None:
        """End a run; where the gateway does not do it at once, go on behind."""
        ending = asyncio.create_task(self._end(reference))
        self._left.add(ending)
        ending.add_done_callback(self._left.discard)
        await asyncio.wait({ending}, timeout=ENDING_SECONDS)

    async def _end(self, reference: Reference) -> None:
        said = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(FORGETTING_SECONDS):
                for pause in pauses():
                    try:
                        async with connect(self._address) as gateway:
                            await end(gateway, reference)
                            return
                    except (Lost, Refused) as fault:
                        if str(fault) != said:
                            log.warning("what runs in %s is not ended yet: %s; trying again", reference.key, fault)
                        said = str(fault)
                    await asyncio.sleep(pause)


async def end(gateway: Connection, reference: Reference) -> None:
    """End a run, its commands too, and let nothing be resumed; raises Lost and Refused."""
    await archive(gateway, reference.key, reference.session, ENDING_SECONDS)


def pauses() -> Iterator[float]:
    """Return how long to wait between two tries to connect, in seconds, without end."""
    return chain(PAUSES, repeat(PAUSES[-1]))
