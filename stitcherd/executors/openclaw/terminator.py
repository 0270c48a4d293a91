"""Ends runs of a gateway, in the background where nothing has to wait for it, or where the gateway is down."""

import asyncio
import logging
from contextlib import suppress

from shared.backoff import backoff_delays
from stitcherd.executors.openclaw.connection import REQUEST_TIMEOUT_SECONDS, GatewayAddress, connect
from stitcherd.executors.openclaw.protocol import GatewayLost, RequestRefused, RunReference
from stitcherd.executors.openclaw.setup import END_TIMEOUT_SECONDS, end_run

END_GIVE_UP_SECONDS = 600.0  # after this, a run that cannot be ended is left to the gateway

log = logging.getLogger(__name__)


class RunTerminator:
    """Ends runs, and retries in the background: a gateway that is down would resume them when it is back."""

    def __init__(self, address: GatewayAddress) -> None:
        self._address = address
        self._pending: dict[str, set[asyncio.Task[None]]] = {}  # by the key of the session

    async def end(self, reference: RunReference) -> None:
        """End a run; if the gateway does not do so at once, continue in the background."""
        await asyncio.wait({self.begin(reference, END_TIMEOUT_SECONDS)}, timeout=END_TIMEOUT_SECONDS)

    def begin(self, reference: RunReference, seconds: float = REQUEST_TIMEOUT_SECONDS) -> asyncio.Task[None]:
        """Begin to end a run, in the background; `seconds` are what the gateway has for an answer."""
        ending = asyncio.create_task(self._end(reference, seconds))
        pending = self._pending.setdefault(reference.key, set())
        pending.add(ending)
        ending.add_done_callback(lambda _: self._forget(reference.key, ending))
        return ending

    async def finish(self, key: str) -> None:
        """Wait until nothing in the session with this key is being ended. Raises GatewayLost."""
        if pending := self._pending.get(key):
            _, late = await asyncio.wait(pending, timeout=REQUEST_TIMEOUT_SECONDS)
            if late:
                raise GatewayLost("the gateway has not ended the earlier try yet")

    def _forget(self, key: str, ending: asyncio.Task[None]) -> None:
        self._pending[key].discard(ending)
        if not self._pending[key]:
            del self._pending[key]

    async def _end(self, reference: RunReference, seconds: float) -> None:
        logged = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_GIVE_UP_SECONDS):
                for delay in backoff_delays():
                    try:
                        async with connect(self._address) as gateway:
                            await end_run(gateway, reference, seconds)
                            return
                    except (GatewayLost, RequestRefused) as error:
                        if str(error) != logged:
                            log.warning("the run in %s is not ended yet: %s; trying again", reference.key, error)
                        logged = str(error)
                    await asyncio.sleep(delay)
