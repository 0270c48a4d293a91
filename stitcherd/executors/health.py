"""Looks at the executors again and again, so that whoever asks how they are gets an answer at once."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress

from shared.api import AgentCount, ExecutorState
from shared.ids import format_timestamp, now_ms
from stitcherd.executors.base import Executor, ExecutorHealth, ProfileConstraints

FIRST_CHECK_SECONDS = 1.5  # that the first jobs wait for the first look at all of them
CHECK_TIMEOUT_SECONDS = 8.0  # that an answer is waited for
CHECK_INTERVAL_SECONDS = 10.0  # between two looks at one that is well
RETRY_INTERVAL_SECONDS = 1.0  # and at one that is not

log = logging.getLogger(__name__)


class HealthMonitor:
    """Knows how each executor was when it was last looked at; `profiles` returns those that one is asked for."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        profiles: Callable[[str], Collection[ProfileConstraints]] = lambda _: (),
    ) -> None:
        self._executors = executors
        self._profiles = profiles
        self._seen = dict.fromkeys(executors, ExecutorHealth(ok=False, detail="it did not answer yet", away=True))
        self._since = dict.fromkeys(executors, format_timestamp(now_ms()))
        self._missed = {name: asyncio.Event() for name in executors}
        self._looked = {name: asyncio.Event() for name in executors}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for as long as the context lasts."""
        looks = [asyncio.create_task(self._watch(name)) for name in self._executors]
        try:
            yield
        finally:
            for look in looks:
                look.cancel()
            await asyncio.gather(*looks, return_exceptions=True)

    async def wait_until_checked(self) -> None:
        """Wait until each was looked at once, but not long for one that does not answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CHECK_SECONDS):
                for looked in self._looked.values():
                    await looked.wait()

    def report_unreachable(self, name: str, why: str) -> None:
        """Take it from somebody who needed an executor that it is away."""
        self._take(name, ExecutorHealth(ok=False, detail=why, away=True))
        self._missed[name].set()

    def away(self) -> dict[str, str]:
        """Return why they are away, for those that are and may come back."""
        return {name: seen.detail for name, seen in self._seen.items() if seen.away}

    def states(self) -> tuple[ExecutorState, ...]:
        """Return how they are, and since when."""
        return tuple(
            ExecutorState(
                name=name,
                ok=seen.ok,
                detail=seen.detail,
                since=self._since[name],
                version=seen.version,
                protocol=seen.protocol,
                agents=AgentCount(*seen.agents) if seen.agents else None,
            )
            for name, seen in self._seen.items()
        )

    async def _watch(self, name: str) -> None:
        while True:
            self._take(name, await self._look(name))
            self._looked[name].set()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_SECONDS if self._seen[name].ok else RETRY_INTERVAL_SECONDS):
                    await self._missed[name].wait()
                    self._missed[name].clear()
                    await asyncio.sleep(RETRY_INTERVAL_SECONDS)

    async def _look(self, name: str) -> ExecutorHealth:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                return await self._executors[name].health(self._profiles(name))
        except TimeoutError:
            return ExecutorHealth(ok=False, detail=f"it does not answer within {CHECK_TIMEOUT_SECONDS:g} s", away=True)
        except Exception:
            log.exception("executor %s could not be looked at", name)
            return ExecutorHealth(ok=False, detail="a fault in Stitcher; the daemon's log has it")

    def _take(self, name: str, seen: ExecutorHealth) -> None:
        if seen.ok != self._seen[name].ok:
            self._since[name] = format_timestamp(now_ms())
        if (seen.ok, seen.detail) != (self._seen[name].ok, self._seen[name].detail):
            log.log(logging.INFO if seen.ok else logging.WARNING, "executor %s: %s", name, seen.detail)
        self._seen[name] = seen
