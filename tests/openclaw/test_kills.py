"""The daemon and the gateway are killed while jobs run: what goes on, and that no try is run twice.

STITCHER_KILLS says how many kills the last walk has; by itself they are few, because a gateway takes its time.
"""

import asyncio
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from stitcherd.executors.base import ExecutionResult, Task
from stitcherd.executors.openclaw.connection import connect
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.e2e.harness import DaemonHarness, wait_until
from tests.openclaw.conftest import LONG, SOON, RealGateway
from tests.openclaw.test_daemon import RAILS, made, over, play
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

pytestmark = pytest.mark.openclaw

KILLS = int(os.environ.get("STITCHER_KILLS", "4"))


@pytest.fixture
def house(gateway: RealGateway, tmp_path: Path) -> Any:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(str(gateway.address.token))
    settings = f'[executors.claw]\nkind = "openclaw"\nurl = "{gateway.address.url}"\ntoken = {{file = "{token}"}}'
    built = DaemonHarness(settings=settings, rails=RAILS)
    try:
        built.start()
        yield built
    finally:
        built.remove()


def asked(gateway: RealGateway) -> list[dict[str, Any]]:
    """Return what the model was asked, call by call."""
    with urlopen(f"{gateway.facts['model']}/asked") as answer:
        return list(json.load(answer))


def begun(gateway: RealGateway) -> Counter[str]:
    """Return how often each play was begun, and not gone on with."""
    return Counter(str(call["name"]) for call in asked(gateway) if call["fresh"])


def called(house: DaemonHarness, job_id: str) -> None:
    """Return when the job's agent has used a tool."""
    wait_until(
        lambda: any(event["type"] == "ai.tool_called" for event in house.job(job_id)["events"]), "a tool's call", LONG
    )


def dispatched(house: DaemonHarness, prompt: str) -> str:
    """Dispatch a job as soon as the daemon is there, whatever it says of its executors."""

    def there() -> str | None:
        with suppress(OSError):
            return house.dispatch("fix", prompt)
        return None

    return wait_until(there, "the daemon is there")


def steps(name: str, wait: float = 4) -> str:
    # What a killed gateway goes on with may be the step after the one that it was killed in.
    return play({"name": name, **made("made.txt")}, {"say": "slow", "wait": wait}, {"say": "done"})


@pytest.mark.parametrize("by", ["kill", "stop"])
def test_a_job_outlives_the_daemon(gateway: RealGateway, house: DaemonHarness, by: str) -> None:
    job_id = house.dispatch("fix", steps(by))
    called(house, job_id)
    getattr(house, by)()
    house.start()
    job = over(house, job_id)
    assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 1, None)
    assert house.git("show", f"{job['branch']}:made.txt") == "by an agent"
    assert "job.recovered" in [event["type"] for event in job["events"]]
    assert begun(gateway)[by] == 1


async def test_a_kill_of_the_gateway_ends_as_each_run_wants_it(
    gateway: RealGateway, house: DaemonHarness, make_task: Callable[..., Task]
) -> None:
    """One kill for all that can happen to a run: a gateway takes its time to come back, and to go on."""
    plays = [made("first"), {"say": "slow", "wait": 10, **made("second")}, {"say": "late"}]
    both = await asyncio.to_thread(house.dispatch, "fix", steps("both", 20))
    await asyncio.to_thread(called, house, both)
    adopted, ended, cancelled = (make_task(*plays, timeout=300.0) for _ in range(3))
    sinks = [RecordingSink(), RecordingSink(), RecordingSink()]
    staying = asyncio.create_task(OpenClawExecutor(gateway.address).run(adopted, sinks[0]))
    leaving = asyncio.create_task(OpenClawExecutor(gateway.address, take_over=False).run(ended, sinks[1]))
    patient = OpenClawExecutor(gateway.address)
    going = asyncio.create_task(patient.run(cancelled, sinks[2]))
    await asyncio.to_thread(
        wait_until, lambda: all((task.cwd / "first").exists() for task in (adopted, ended, cancelled)), ""
    )
    await asyncio.to_thread(gateway.order, "down")

    before = asyncio.get_running_loop().time()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert asyncio.get_running_loop().time() - before < SOON
    await asyncio.to_thread(house.kill)
    await asyncio.to_thread(house.start, ready=False)
    waits = await asyncio.to_thread(dispatched, house, steps("waits"))
    job = await asyncio.to_thread(wait_until, lambda: (it := house.job(waits))["held"] and it, "the reason")
    assert (job["status"], job["held"].endswith("connection refused")) == ("QUEUED", True)
    await asyncio.to_thread(gateway.order, "up")

    assert await staying == ExecutionResult()
    assert len(sinks[0].reference["runs"].split()) == 2
    result = await leaving
    assert result.failure
    assert result.failure.code == "interrupted"
    for job_id, name in ((both, "both"), (waits, "waits")):
        job = await asyncio.to_thread(over, house, job_id)
        assert (job["status"], job["attempt"], job["error"]) == ("COMPLETED", 1, None)
        assert house.git("show", f"{job['branch']}:made.txt") == "by an agent"
        assert begun(gateway)[name] == 1
    # The gateway goes on with all that it means to go on with at the same time, and two of them are over.
    async with connect(gateway.address) as connection:
        for sink, task in ((sinks[1], ended), (sinks[2], cancelled)):
            described = await connection.request("sessions.describe", {"key": sink.reference["key"]})
            assert described["session"]["archived"]
            assert not (task.cwd / "second").exists()


def test_no_try_is_run_twice_whoever_is_killed(gateway: RealGateway, house: DaemonHarness) -> None:
    chance = random.Random(KILLS)
    victims = chance.sample(["daemon", "daemon", "daemon", "gateway"] * KILLS, KILLS) if KILLS > 4 else ["daemon"] * 2
    jobs: dict[str, str] = {}
    for number, victim in enumerate(victims):
        for _ in range(2):
            name = f"kill-{len(jobs)}"
            jobs[house.dispatch("fix", steps(name))] = name
        time.sleep(chance.uniform(0, 3))
        if victim == "daemon":
            house.kill()
            house.start()
        else:
            gateway.order("kill")
        if number % 4 == 3:
            for job_id in jobs:
                over(house, job_id)
    ended = {name: over(house, job_id) for job_id, name in jobs.items()}
    logging.getLogger(__name__).info("%s %s", Counter(victims), Counter(str(job["error"]) for job in ended.values()))
    twice = {name: times for name, times in begun(gateway).items() if name in ended and times > ended[name]["attempt"]}
    assert twice == {}
    assert {job["error"]["code"] for job in ended.values() if job["error"]} <= {"interrupted"}
