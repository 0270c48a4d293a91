"""A real daemon with a fake gateway: after crashes, stops and outages no run is started twice."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness, wait_until
from tests.stitcherd.executors.openclaw.threaded_gateway import ThreadedGateway, daemon_with, script

HOLDS = script(["use", 100, 10, 0.5], ["hold"], ["say", "found again"])


@pytest.fixture
def daemon(gateway: ThreadedGateway, tmp_path: Path) -> Iterator[DaemonHarness]:
    with daemon_with(gateway, tmp_path) as built:
        yield built


def types(job: Any) -> list[str]:
    return [event["type"] for event in job["events"]]


def underway(gateway: ThreadedGateway, count: int = 1) -> None:
    wait_until(lambda: len(gateway.started) >= count, "a run is under way")


def alive(daemon: DaemonHarness) -> bool:
    with suppress(OSError):
        return daemon.public("GET", "/healthz").status == 200
    return False


def check(daemon: DaemonHarness, name: str) -> Any:
    return next(it for it in daemon.get("/readyz", 503)["checks"] if it["name"] == name)


@pytest.mark.parametrize("by", ["kill", "stop"])
def test_a_run_survives_the_daemon_and_its_job_continues(
    gateway: ThreadedGateway, daemon: DaemonHarness, by: str
) -> None:
    daemon.start()
    job_id = daemon.dispatch("read", HOLDS)
    underway(gateway)
    getattr(daemon, by)()
    assert not gateway.fake.params_of("sessions.patch")[1:], "nothing was ended"
    daemon.start()
    wait_until(lambda: gateway.fake.params_of("chat.history"), "the run is found again")
    gateway.release()
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["attempt"], job["tries"]["used"], job["usage"]["inputTokens"]) == (1, 1, 100)
    assert types(job).count("job.recovered") == 1
    assert gateway.started == [f"{job_id}-1-1"]
    cut, done = [step for step in job["steps"] if step["name"] == "claw"]
    assert (cut["status"], done["status"], cut["try"], done["try"]) == ("FAILED", "COMPLETED", 1, 1)
    assert daemon.request("GET", f"/runner-jobs/{job_id}/steps/{done['id']}/log").body.strip().endswith(b"found again")


def test_a_run_that_ended_without_a_daemon_goes_to_the_gates(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    daemon.start()
    job_id = daemon.dispatch("read", HOLDS)
    underway(gateway)
    daemon.kill()
    gateway.release()
    wait_until(lambda: all(gateway.fake.runs.values()), "it ends")
    daemon.start()
    daemon.wait(job_id, "COMPLETED")
    assert gateway.started == [f"{job_id}-1-1"]


def test_the_attempt_continues_from_the_try_that_ran(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    daemon.start()
    job_id = daemon.dispatch("twice", HOLDS)
    underway(gateway)
    daemon.kill()
    daemon.start()
    gateway.release()
    job = daemon.wait(job_id, "COMPLETED")
    assert gateway.started == [f"{job_id}-1-1", f"{job_id}-1-2"]
    assert "ai.session_resumed" in types(job)
    assert HOLDS not in gateway.fake.params_of("agent")[1]["message"]


def test_a_crash_in_a_gate_runs_the_gates_again_but_not_the_agent(
    gateway: ThreadedGateway, daemon: DaemonHarness
) -> None:
    daemon.start()
    job_id = daemon.dispatch("held", script(["say", "done"]))
    daemon.step(job_id, "slow")
    daemon.kill()
    (daemon.state / "go").touch()
    daemon.start()
    job = daemon.wait(job_id, "COMPLETED")
    assert [step["status"] for step in job["steps"] if step["name"] == "slow"] == ["FAILED", "COMPLETED"]
    assert gateway.started == [f"{job_id}-1-1"]


def test_a_cancel_survives_the_daemon_and_aborts_the_run(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    daemon.start()
    job_id = daemon.dispatch("read", HOLDS)
    underway(gateway)
    daemon.kill()
    daemon.start(ready=False)
    daemon.await_ready()
    daemon.step(job_id, "claw")
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {}).status == 202
    daemon.wait(job_id, "CANCELLED")
    (session,) = gateway.fake.sessions.values()
    wait_until(lambda: session.get("archived"), "the run is ended")


@pytest.mark.parametrize(("type_", "runs"), [("read", 1), ("again", 2)])
def test_a_lost_run_follows_on_interrupt(
    gateway: ThreadedGateway, daemon: DaemonHarness, type_: str, runs: int
) -> None:
    daemon.start()
    job_id = daemon.dispatch(type_, HOLDS)
    underway(gateway)
    daemon.kill()
    gateway.call(gateway.fake.forget())
    gateway.release()
    daemon.start()
    job = daemon.wait(job_id, "FAILED" if runs == 1 else "COMPLETED")
    assert gateway.started == [f"{job_id}-{attempt}-1" for attempt in range(1, runs + 1)]
    if runs == 1:
        assert job["error"]["code"] == "interrupted"


def test_a_job_waits_for_an_unreachable_gateway_and_others_do_not(
    gateway: ThreadedGateway, daemon: DaemonHarness
) -> None:
    gateway.call(gateway.fake.close())
    daemon.start(ready=False)
    wait_until(lambda: alive(daemon), "the daemon is there")
    job_id = daemon.dispatch("read", script(["say", "at last"]))
    job = wait_until(lambda: (it := daemon.job(job_id))["held"] and it, "the reason")
    assert (job["status"], job["attempt"]) == ("QUEUED", 1)
    assert job["held"].startswith("executor claw: the gateway at ws://")
    assert job["held"].endswith("connection refused")
    daemon.run("local", "true")
    seen = check(daemon, "executor:claw")
    assert (seen["ok"], "connection refused" in seen["detail"]) == (False, True)
    assert daemon.public("GET", "/readyz").json == {"ready": False}
    gateway.call(gateway.fake.open())
    job = daemon.wait(job_id, "COMPLETED")
    assert job["attempt"] == 1
    wait_until(lambda: daemon.request("GET", "/readyz").status == 200, "it is well again")
    state = next(it for it in daemon.get("/meta")["executors"] if it["name"] == "claw")
    assert (state["version"], state["protocol"], state["ok"]) == ("2026.9.6", 4, True)


def test_a_gateway_lost_between_two_health_checks_only_delays_a_job(
    gateway: ThreadedGateway, daemon: DaemonHarness
) -> None:
    daemon.start()
    gateway.call(gateway.fake.close())
    job_id = daemon.dispatch("read", script(["say", "at last"]))
    job = wait_until(lambda: (it := daemon.job(job_id))["held"] and it, "the reason")
    assert job["status"] == "QUEUED"
    gateway.call(gateway.fake.open())
    job = daemon.wait(job_id, "COMPLETED")
    assert gateway.started == [f"{job_id}-{job['attempt']}-1"]


def test_a_rejected_token_does_not_make_the_job_wait(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    gateway.fake.protocol = 3
    daemon.start(ready=False)
    wait_until(lambda: alive(daemon), "the daemon is there")
    job = daemon.wait(daemon.dispatch("read", HOLDS), "FAILED")
    assert job["error"]["code"] == "executor_refused"
    assert "protocol 3" in check(daemon, "executor:claw")["detail"]


def test_no_try_runs_twice_whichever_process_is_killed(gateway: ThreadedGateway, daemon: DaemonHarness) -> None:
    chance = random.Random(4)
    steps = [step for number in range(16) for step in (["say", f"{number} "], ["wait", 0.05])]
    jobs: list[str] = []
    daemon.start()
    for victim in chance.sample(["daemon", "gateway"] * 2, 4):
        jobs += [daemon.dispatch(type_, script(*steps)) for type_ in ("read", "twice")]
        underway(gateway, len(jobs) // 2 + 1)
        if victim == "daemon":
            daemon.kill()
            daemon.start()
        else:
            gateway.call(gateway.fake.crash(resumes=True))
    ended = [daemon.wait(job_id, limit=120) for job_id in jobs]
    assert max(Counter(gateway.started).values()) == 1
    assert [job["error"] for job in ended if job["error"] and job["error"]["code"] != "interrupted"] == []
