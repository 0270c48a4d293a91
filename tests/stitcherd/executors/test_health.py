"""Tests the health monitor: executors are checked in the background, and the last result is there at once."""

import asyncio
from collections.abc import Callable, Collection

import pytest

from stitcherd.executors import health
from stitcherd.executors.base import ExecutorHealth, ProfileConstraints
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.health import HealthMonitor

HEALTHY = ExecutorHealth(ok=True, detail="OpenClaw 1, 1 of 2 agents in place", version="1", protocol=4, agents=(1, 2))
AWAY = ExecutorHealth(ok=False, detail="connection refused", away=True)


class ScriptedExecutor(CommandExecutor):
    """Reports the last of `results`; without one it never answers."""

    def __init__(self, *results: ExecutorHealth) -> None:
        super().__init__(())
        self.results = list(results)

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        if not self.results:
            await asyncio.Event().wait()
        return self.results[-1]


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (a check has no event)
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(health, "RETRY_INTERVAL_SECONDS", 0.01)


async def test_the_states_are_those_of_the_last_checks() -> None:
    monitor = HealthMonitor({"claw": ScriptedExecutor(HEALTHY), "agent": CommandExecutor(("claude", "-p"))})
    async with monitor.running():
        await monitor.wait_until_checked()
        claw, agent = monitor.states()
        assert (claw.name, claw.ok, claw.version, claw.protocol) == ("claw", True, "1", 4)
        assert claw.agents
        assert (claw.agents.there, claw.agents.wanted) == (1, 2)
        assert (agent.name, agent.ok, agent.detail, agent.agents) == ("agent", True, "starts claude", None)
        assert monitor.away() == {}


async def test_an_executor_that_is_away_is_checked_until_it_is_back() -> None:
    executor = ScriptedExecutor(AWAY)
    monitor = HealthMonitor({"claw": executor})
    async with monitor.running():
        await monitor.wait_until_checked()
        assert monitor.away() == {"claw": "connection refused"}
        executor.results.append(HEALTHY)
        await wait_until(lambda: not monitor.away())


async def test_an_executor_that_was_reported_unreachable_is_checked_again_at_once() -> None:
    monitor = HealthMonitor({"claw": ScriptedExecutor(HEALTHY)})
    async with monitor.running():
        await monitor.wait_until_checked()
        since = monitor.states()[0].since
        await asyncio.sleep(0.01)
        monitor.report_unreachable("claw", "it hung up")
        assert monitor.away() == {"claw": "it hung up"}
        assert monitor.states()[0].since > since
        await wait_until(lambda: not monitor.away())


async def test_an_executor_that_hangs_delays_no_other() -> None:
    monitor = HealthMonitor({"hanging": ScriptedExecutor(), "well": ScriptedExecutor(HEALTHY)})
    async with monitor.running():
        await monitor.wait_until_checked()
        assert monitor.away() == {"hanging": "it did not answer yet"}


async def test_starting_does_not_wait_for_the_first_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "FIRST_CHECK_SECONDS", 3600.0)
    monitor = HealthMonitor({"hanging": ScriptedExecutor()})
    async with asyncio.timeout(20), monitor.running():
        assert monitor.away() == {"hanging": "it did not answer yet"}


async def test_an_executor_that_refuses_is_not_away() -> None:
    monitor = HealthMonitor({"claw": ScriptedExecutor(ExecutorHealth(ok=False, detail="the gateway refused connect"))})
    async with monitor.running():
        await monitor.wait_until_checked()
        assert monitor.away() == {}
        assert not monitor.states()[0].ok
