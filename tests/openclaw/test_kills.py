"""Tests that jobs continue, and no try runs twice, when the daemon or the gateway is killed.

STITCHER_KILLS is the number of kills in the last test; few by default, because a gateway restarts slowly.
"""

import asyncio
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from stitcherd.executors.base import ExecutionResult, Task
from stitcherd.executors.openclaw.connection import connect
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.e2e.harness import DaemonHarness, wait_until
from tests.openclaw.conftest import LONG, SOON, RealGateway, model_calls
from tests.openclaw.test_daemon import RAILS, made, play
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tests.stitcherd.executors.openclaw.tasks import claw_settings

pytestmark = pytest.mark.openclaw

KILLS = int(os.environ.get("STITCHER_KILLS", "4"))


@pytest.fixture
def daemon(gateway: RealGateway, tmp_path: Path) -> Iterator[DaemonHarness]:
    with DaemonHarness(settings=claw_settings(gateway.address, tmp_path), rails=RAILS) as built:
        built.start()
        yield built


def started(gateway: RealGateway) -> Counter[str]:
    """Return how often each script was started from its beginning."""
    return Counter(str(call["name"]) for call in model_calls(gateway) if call["fresh"])


def wait_until_tool_called(daemon: DaemonHarness, job_id: str) -> None:
    """Wait until the agent of a job has called a tool."""
    wait_until(
        lambda: any(event["type"] == "ai.tool_called" for event in daemon.job(job_id)["events"]), "a tool's call", LONG
    )


def dispatch_when_ready(daemon: DaemonHarness, prompt: str) -> str:
    """Dispatch a job as soon as the daemon answers, whatever the state of its executors."""

    def try_dispatch() -> str | None:
        with suppress(OSError):
            return daemon.dispatch("fix", prompt)
        return None

    return wait_until(try_dispatch, "the daemon is there")


def steps(name: str, wait: float = 4) -> str:
    # A killed gateway may resume with the step after the one in which it was killed.
    return play({"name": name, **made("made.txt")}, {"say": "slow", "wait": wait}, {"say": "done"})


@pytest.mark.parametrize("by", ["kill", "stop"])
def test_a_job_outlives_the_daemon(gateway: RealGateway, daemon: DaemonHarness, by: str) -> None:
    job_id = daemon.dispatch("fix", steps(by))
    wait_until_tool_called(daemon, job_id)
    getattr(daemon, by)()
    daemon.start()
    job = daemon.wait(job_id, limit=LONG)
    assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 1, None)
    assert daemon.git("show", f"{job['branch']}:made.txt") == "by an agent"
    assert "job.recovered" in [event["type"] for event in job["events"]]
    assert started(gateway)[by] == 1


async def test_each_run_survives_a_kill_of_the_gateway_as_configured(
    gateway: RealGateway, daemon: DaemonHarness, make_task: Callable[..., Task]
) -> None:
    """One kill covers everything that can happen to a run, since a gateway restarts slowly."""
    plays = [made("first"), {"say": "slow", "wait": 10, **made("second")}, {"say": "late"}]
    both = await asyncio.to_thread(daemon.dispatch, "fix", steps("both", 20))
    await asyncio.to_thread(wait_until_tool_called, daemon, both)
    taken_over, ended, cancelled = (make_task(*plays, timeout=300.0) for _ in range(3))
    sinks = [RecordingSink(), RecordingSink(), RecordingSink()]
    staying = asyncio.create_task(OpenClawExecutor(gateway.address).run(taken_over, sinks[0]))
    leaving = asyncio.create_task(OpenClawExecutor(gateway.address, take_over=False).run(ended, sinks[1]))
    patient = OpenClawExecutor(gateway.address)
    going = asyncio.create_task(patient.run(cancelled, sinks[2]))
    await asyncio.to_thread(
        wait_until, lambda: all((task.cwd / "first").exists() for task in (taken_over, ended, cancelled)), ""
    )
    await asyncio.to_thread(gateway.send, "down")

    before = asyncio.get_running_loop().time()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert asyncio.get_running_loop().time() - before < SOON
    await asyncio.to_thread(daemon.kill)
    await asyncio.to_thread(daemon.start, ready=False)
    waits = await asyncio.to_thread(dispatch_when_ready, daemon, steps("waits"))
    job = await asyncio.to_thread(wait_until, lambda: (it := daemon.job(waits))["held"] and it, "the reason")
    assert (job["status"], job["held"].endswith("connection refused")) == ("QUEUED", True)
    await asyncio.to_thread(gateway.send, "up")

    assert await staying == ExecutionResult()
    assert len(sinks[0].reference["runs"].split()) == 2
    result = await leaving
    assert result.failure
    assert result.failure.code == "interrupted"
    for job_id, name in ((both, "both"), (waits, "waits")):
        job = await asyncio.to_thread(daemon.wait, job_id, limit=LONG)
        assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 1, None)
        assert daemon.git("show", f"{job['branch']}:made.txt") == "by an agent"
        assert started(gateway)[name] == 1
    # The gateway resumes all its runs at the same time, and two of them must be over.
    async with connect(gateway.address) as connection:
        for sink, task in ((sinks[1], ended), (sinks[2], cancelled)):
            described = await connection.request("sessions.describe", {"key": sink.reference["key"]})
            assert described["session"]["archived"]
            assert not (task.cwd / "second").exists()


def test_no_try_runs_twice_whichever_is_killed(gateway: RealGateway, daemon: DaemonHarness) -> None:
    chance = random.Random(KILLS)
    victims = chance.sample(["daemon", "daemon", "daemon", "gateway"] * KILLS, KILLS) if KILLS > 4 else ["daemon"] * 2
    jobs: dict[str, str] = {}
    for number, victim in enumerate(victims):
        for _ in range(2):
            name = f"kill-{len(jobs)}"
            jobs[daemon.dispatch("fix", steps(name))] = name
        time.sleep(chance.uniform(0, 3))
        if victim == "daemon":
            daemon.kill()
            daemon.start()
        else:
            gateway.send("kill")
        if number % 4 == 3:
            for job_id in jobs:
                daemon.wait(job_id, limit=LONG)
    ended = {name: daemon.wait(job_id, limit=LONG) for job_id, name in jobs.items()}
    logging.getLogger(__name__).info("%s %s", Counter(victims), Counter(str(job["error"]) for job in ended.values()))
    twice = {
        name: times for name, times in started(gateway).items() if name in ended and times > ended[name]["attempt"]
    }
    assert twice == {}
    assert {job["error"]["code"] for job in ended.values() if job["error"]} <= {"interrupted"}
