"""Executors are looked at behind everybody's back, and what was seen is there at once."""

import asyncio
from collections.abc import Callable, Collection

import pytest

from stitcherd.executors import health as watching
from stitcherd.executors.base import ExecutorHealth, ProfileConstraints
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.health import HealthMonitor

WELL = ExecutorHealth(ok=True, detail="OpenClaw 1, 1 of 2 agents in place", version="1", protocol=4, agents=(1, 2))
GONE = ExecutorHealth(ok=False, detail="connection refused", away=True)


class Moody(CommandExecutor, frozen=True):
    """Is as the last of `moods`; without one it never answers."""

    moods: list[ExecutorHealth]

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        if not self.moods:
            await asyncio.Event().wait()
        return self.moods[-1]


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 (a look has no event)
            await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_CHECK_SECONDS", 0.1)
    monkeypatch.setattr(watching, "RETRY_INTERVAL_SECONDS", 0.01)


async def test_what_is_seen_is_told() -> None:
    watch = HealthMonitor({"claw": Moody((), [WELL]), "agent": CommandExecutor(("claude", "-p"))})
    async with watch.running():
        await watch.wait_until_checked()
        claw, agent = watch.states()
        assert (claw.name, claw.ok, claw.version, claw.protocol) == ("claw", True, "1", 4)
        assert claw.agents
        assert (claw.agents.there, claw.agents.wanted) == (1, 2)
        assert (agent.name, agent.ok, agent.detail, agent.agents) == ("agent", True, "starts claude", None)
        assert watch.away() == {}


async def test_one_that_is_away_is_looked_at_until_it_is_back() -> None:
    moody = Moody((), [GONE])
    watch = HealthMonitor({"claw": moody})
    async with watch.running():
        await watch.wait_until_checked()
        assert watch.away() == {"claw": "connection refused"}
        moody.moods.append(WELL)
        await until(lambda: not watch.away())


async def test_one_that_was_missed_is_looked_at_again_at_once() -> None:
    moody = Moody((), [WELL])
    watch = HealthMonitor({"claw": moody})
    async with watch.running():
        await watch.wait_until_checked()
        since = watch.states()[0].since
        await asyncio.sleep(0.01)
        watch.report_unreachable("claw", "it hung up")
        assert watch.away() == {"claw": "it hung up"}
        assert watch.states()[0].since > since
        await until(lambda: not watch.away())


async def test_one_that_hangs_holds_up_nobody_else() -> None:
    watch = HealthMonitor({"hanging": Moody((), []), "well": Moody((), [WELL])})
    async with watch.running():
        await watch.wait_until_checked()
        assert watch.away() == {"hanging": "it did not answer yet"}


async def test_the_doors_open_before_one_that_hangs_was_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_CHECK_SECONDS", 3600.0)
    watch = HealthMonitor({"hanging": Moody((), [])})
    async with asyncio.timeout(20), watch.running():
        assert watch.away() == {"hanging": "it did not answer yet"}


async def test_a_refusal_is_no_absence() -> None:
    watch = HealthMonitor({"claw": Moody((), [ExecutorHealth(ok=False, detail="the gateway refused connect")])})
    async with watch.running():
        await watch.wait_until_checked()
        assert watch.away() == {}
        assert not watch.states()[0].ok
