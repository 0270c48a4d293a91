"""Checks the health of all executors periodically, so that it can be reported without waiting for any of them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress

from shared.api import AgentCount, ExecutorState
from shared.ids import format_timestamp, now_ms
from stitcherd.executors.base import Executor, ExecutorHealth, ProfileConstraints

FIRST_CHECK_SECONDS = 1.5  # how long the first jobs wait for the first check of all executors
CHECK_TIMEOUT_SECONDS = 8.0
CHECK_INTERVAL_SECONDS = 10.0  # between two checks of a healthy executor
RETRY_INTERVAL_SECONDS = 1.0  # between two checks of any other

log = logging.getLogger(__name__)


class HealthMonitor:
    """The last known health of each executor; `profiles` returns the profiles that use an executor."""

    def __init__(
        self,
        executors: Mapping[str, Executor],
        profiles: Callable[[str], Collection[ProfileConstraints]] = lambda _: (),
    ) -> None:
        self._executors = executors
        self._profiles = profiles
        self._health = dict.fromkeys(executors, ExecutorHealth(ok=False, detail="it did not answer yet", away=True))
        self._since = dict.fromkeys(executors, format_timestamp(now_ms()))
        self._unreachable = {name: asyncio.Event() for name in executors}
        self._checked = {name: asyncio.Event() for name in executors}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Check all executors repeatedly for the duration of the context."""
        checks = [asyncio.create_task(self._monitor(name)) for name in self._executors]
        try:
            yield
        finally:
            for check in checks:
                check.cancel()
            await asyncio.gather(*checks, return_exceptions=True)

    async def wait_until_checked(self) -> None:
        """Wait until each executor was checked once, at most FIRST_CHECK_SECONDS in all."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CHECK_SECONDS):
                for checked in self._checked.values():
                    await checked.wait()

    def report_unreachable(self, name: str, reason: str) -> None:
        """Record that a job found an executor unreachable, and check that executor again soon."""
        self._update(name, ExecutorHealth(ok=False, detail=reason, away=True))
        self._unreachable[name].set()

    def away(self) -> dict[str, str]:
        """Return the executors that are away and may come back, with the reason."""
        return {name: health.detail for name, health in self._health.items() if health.away}

    @property
    def is_checked(self) -> bool:
        """Whether each executor was checked once."""
        return all(checked.is_set() for checked in self._checked.values())

    def healthy(self) -> list[str]:
        """Return the executors that can be used now."""
        return [name for name, health in self._health.items() if health.ok]

    def broken(self) -> list[str]:
        """Return the executors that answer, or are installed, and cannot be used: jobs fail there with the reason."""
        return [name for name, health in self._health.items() if not (health.ok or health.away)]

    def states(self) -> tuple[ExecutorState, ...]:
        """Return the health of each executor, and since when it has been healthy or not."""
        return tuple(
            ExecutorState(
                name=name,
                ok=health.ok,
                detail=health.detail,
                since=self._since[name],
                version=health.version,
                protocol=health.protocol,
                agents=AgentCount(*health.agents) if health.agents else None,
            )
            for name, health in self._health.items()
        )

    async def _monitor(self, name: str) -> None:
        while True:
            self._update(name, await self._check(name))
            self._checked[name].set()
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_SECONDS if self._health[name].ok else RETRY_INTERVAL_SECONDS):
                    await self._unreachable[name].wait()
                    self._unreachable[name].clear()
                    await asyncio.sleep(RETRY_INTERVAL_SECONDS)

    async def _check(self, name: str) -> ExecutorHealth:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                return await self._executors[name].health(self._profiles(name))
        except TimeoutError:
            return ExecutorHealth(ok=False, detail=f"it does not answer within {CHECK_TIMEOUT_SECONDS:g} s", away=True)
        except Exception:
            log.exception("executor %s could not be checked", name)
            return ExecutorHealth(ok=False, detail="a fault in Stitcher; the daemon's log has it")

    def _update(self, name: str, health: ExecutorHealth) -> None:
        before = self._health[name]
        if health.ok != before.ok:
            self._since[name] = format_timestamp(now_ms())
        if (health.ok, health.detail) != (before.ok, before.detail):
            log.log(logging.INFO if health.ok else logging.WARNING, "executor %s: %s", name, health.detail)
        self._health[name] = health
