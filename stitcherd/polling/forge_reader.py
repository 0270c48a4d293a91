"""Reads a source's forge: what it answers, or why that cannot be had now; the reasons are kept until they are gone."""

import logging
from collections.abc import Callable
from typing import TypeVar

from shared.ids import now_ms
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import Call, Forge
from stitcherd.forges.outcome import Done, Hold, Rejected, RetryAt

REFUSED_SECONDS = 300.0  # until what the forge refused is asked for again

log = logging.getLogger(__name__)

Value = TypeVar("Value")


class CannotPoll(Exception):
    """A list cannot be read now; it is to be read again at `until` (ms)."""

    def __init__(self, reason: str, until: int) -> None:
        super().__init__(reason)
        self.until = until


class Gone(CannotPoll):
    """What is asked for does not exist: a thread may have been deleted meanwhile."""


class ForgeReader:
    """The forge of one source, as a poller sees it; `now` is in milliseconds."""

    def __init__(self, source: str, api: ForgeApi, now: Callable[[], int] = now_ms) -> None:
        self.source = source
        self._api = api
        self.now = now
        self._faults: dict[str, tuple[str, int]] = {}

    @property
    def forge(self) -> Forge:
        """The kind of the forge."""
        return self._api.forge

    @property
    def fault(self) -> tuple[str, int] | None:
        """Why a list cannot be read, and since when (ms); None if all can."""
        return min(self._faults.values(), key=lambda fault: fault[1], default=None)

    async def perform(self, call: Call[Value]) -> Value:
        """Send a call and return what the forge answers. Raises CannotPoll, Gone and InvalidReference."""
        outcome = await self._api.perform(call)
        match outcome:
            case Done(value):
                return value
            case RetryAt(at, reason):
                raise CannotPoll(reason, at)
            case Hold(until, reason):
                raise CannotPoll(reason, until)
            case Rejected():
                hint = f": {outcome.hint}" if outcome.hint else ""
                raise (Gone if outcome.code == "gone" else CannotPoll)(
                    f"{outcome.detail}{hint}", self.now() + int(REFUSED_SECONDS * 1000)
                )

    def note(self, name: str, fault: str | None) -> None:
        """Keep why a list cannot be read, None if it can, and log what is new in that."""
        known = self._faults.get(name)
        if fault is None:
            if self._faults.pop(name, None) is not None:
                log.info("source %s: %s can be read again", self.source, name)
        elif known is None or known[0] != fault:
            log.warning("source %s: %s cannot be read: %s", self.source, name, fault)
            self._faults[name] = (fault, known[1] if known else self.now())

    def forget(self, name: str) -> None:
        """Forget why a list cannot be read: it is not asked for any more."""
        self._faults.pop(name, None)
