"""A daemon that dies or is stopped while jobs run, and what the next one makes of them."""

import signal
import socket

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT


def events(job: dict[str, list[dict[str, str]]]) -> list[str]:
    return [it["type"] for it in job["events"] if it["type"].startswith("job.")]


def restart(house: DaemonHarness) -> None:
    house.kill()
    house.start()


@pytest.mark.parametrize(("type_", "status"), [("free", "FAILED"), ("again", "COMPLETED")])
def test_a_job_killed_in_its_agent_goes_where_its_type_says(build: BuildDaemon, type_: str, status: str) -> None:
    house = build()
    house.start()
    job_id = house.dispatch(type_, "echo $STITCHER_ATTEMPT > made; [ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    house.step(job_id, "agent")
    agents = wait_until(house.left, "the agent's processes")
    restart(house)
    assert not set(agents) & set(house.left())
    job = house.wait(job_id, status)
    if status == "FAILED":
        assert (job["error"]["code"], job["attempt"]) == ("interrupted", 1)
    else:
        assert (job["error"], job["attempt"], house.git("show", f"{job['branch']}:made")) == (None, 2, "2")
        assert events(job)[2:5] == ["job.started", "job.recovered", "job.queued"]
    assert next(it["status"] for it in job["steps"] if it["name"] == "agent") == "FAILED"


def test_a_job_killed_in_a_gate_is_run_again(build: BuildDaemon) -> None:
    house = build()
    house.start()
    job_id = house.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || touch wait; touch made")
    house.step(job_id, "slow")
    restart(house)
    job = house.wait(job_id, "COMPLETED")
    assert job["attempt"] == 2
    house.deserted()


def test_a_job_killed_before_its_agent_started_is_queued_again(build: BuildDaemon) -> None:
    house = build(prepare='[["sh", "-c", "test -e ../../../../../go || { echo preparing; sleep 60; }"]]')
    house.start()
    job_id = house.dispatch("free", "touch made")  # of a type that fails when it is interrupted
    house.step(job_id, "prepare")
    house.kill()
    (house.root / "go").touch()
    house.start()
    job = house.wait(job_id, "COMPLETED")
    assert job["attempt"] == 2
    house.deserted()


@pytest.mark.parametrize(("type_", "status"), [("free", "FAILED"), ("again", "COMPLETED")])
def test_a_job_killed_while_it_is_published(build: BuildDaemon, type_: str, status: str) -> None:
    house = build()
    house.hook(f"test -e {house.root}/go || sleep 67")
    house.start()
    job_id = house.dispatch(type_, "echo $STITCHER_ATTEMPT > made")
    house.step(job_id, "publish")
    wait_until(lambda: house.runs("sleep\x0067"), "the hook waits")
    house.kill()
    (house.root / "go").touch()
    house.start()
    job = house.wait(job_id, status)
    house.deserted()
    if status == "COMPLETED":
        assert house.git("show", f"{job['branch']}:made") == "2"
    else:
        assert house.git("branch", "--list", job["branch"]) == ""


def test_a_cancel_that_was_acknowledged_wins_over_a_kill(build: BuildDaemon) -> None:
    house = build()
    house.start()
    job_id = house.dispatch("again", "trap '' TERM; while :; do sleep 0.1; done")
    house.step(job_id, "agent")
    assert house.ask("POST", f"/runner-jobs/{job_id}/cancel").status == 202
    restart(house)
    job = house.wait(job_id, "CANCELLED")
    assert (job["attempt"], events(job)[-1]) == (1, "job.cancelled")
    house.deserted()


def test_waiting_jobs_run_after_a_kill(build: BuildDaemon) -> None:
    house = build(daemon="workers = 1")
    house.start()
    running = house.dispatch("free", "sleep 60")
    house.step(running, "agent")
    waiting = [house.comment("@mosaic free touch made", issue=number).json["jobId"] for number in (1, 2, 3)]
    restart(house)
    assert {house.wait(job_id)["status"] for job_id in waiting} == {"COMPLETED"}
    assert house.job(running)["error"]["code"] == "interrupted"


def test_a_job_that_ends_in_the_grace_is_completed(build: BuildDaemon) -> None:
    house = build(daemon="workers = 1", grace="20s")
    house.start()
    ends = house.dispatch("free", "echo up; while [ ! -e ../../../../../go ]; do sleep 0.05; done; touch made")
    waits = house.dispatch("free", "touch made")
    house.step(ends, "agent")
    assert house.process is not None
    house.process.send_signal(signal.SIGTERM)
    wait_until(lambda: house.public("GET", "/readyz").status == 503, "the daemon says that it stops")
    refused = house.comment("@mosaic fix it")
    assert (refused.status, refused.json["code"]) == (503, "shutting_down")
    assert int(refused.headers["Retry-After"]) > 0
    assert house.ask("POST", "/runner-jobs", {"type": "free"}).json["code"] == "shutting_down"
    (house.root / "go").touch()
    assert house.process.wait(TIMEOUT) == 0
    assert not house.socket.exists()
    house.start()
    assert (house.job(ends)["status"], house.job(ends)["attempt"]) == ("COMPLETED", 1)
    assert house.wait(waits)["status"] == "COMPLETED"


def test_a_job_that_outlasts_the_grace_is_interrupted(build: BuildDaemon) -> None:
    house = build()
    house.start()
    fails = house.dispatch("free", "trap '' TERM; while :; do sleep 0.1; done")
    again = house.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60; touch made")
    for job_id in (fails, again):
        house.step(job_id, "agent")
    assert house.stop() == 0
    house.deserted()
    house.start()
    assert house.wait(again, "COMPLETED")["attempt"] == 2
    assert house.wait(fails, "FAILED")["error"]["code"] == "interrupted"


def test_a_second_signal_ends_it_at_once(build: BuildDaemon) -> None:
    house = build(grace="1h")
    house.start()
    job_id = house.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    house.step(job_id, "agent")
    process = house.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: house.public("GET", "/readyz").status == 503, "the daemon says that it stops")
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) != 0
    house.start()
    assert house.wait(job_id, "COMPLETED")["attempt"] == 2


def test_a_client_that_reads_nothing_holds_nobody_up(build: BuildDaemon) -> None:
    house = build()
    house.start()
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(house.socket))
        lazy.sendall(b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert {house.run("free", "seq 1 9999; touch made")["status"] for _ in range(3)} == {"COMPLETED"}
        assert house.stop(10.0) == 0
