"""Crashes and stops of the daemon while jobs run, and what the next one does with them."""

import signal
import socket

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT


def events(job: dict[str, list[dict[str, str]]]) -> list[str]:
    return [it["type"] for it in job["events"] if it["type"].startswith("job.")]


def restart(daemon: DaemonHarness) -> None:
    daemon.kill()
    daemon.start()


@pytest.mark.parametrize(("type_", "status"), [("free", "FAILED"), ("again", "COMPLETED")])
def test_a_job_killed_in_its_agent_follows_on_interrupt(build: BuildDaemon, type_: str, status: str) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch(type_, "echo $STITCHER_ATTEMPT > made; [ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    daemon.step(job_id, "agent")
    agents = wait_until(daemon.processes, "the agent's processes")
    restart(daemon)
    assert not set(agents) & set(daemon.processes())
    job = daemon.wait(job_id, status)
    if status == "FAILED":
        assert (job["error"]["code"], job["attempt"]) == ("interrupted", 1)
    else:
        assert (job["error"], job["attempt"], daemon.git("show", f"{job['branch']}:made")) == (None, 2, "2")
        assert events(job)[2:5] == ["job.started", "job.recovered", "job.queued"]
    assert next(it["status"] for it in job["steps"] if it["name"] == "agent") == "FAILED"


def test_a_job_killed_in_a_gate_runs_again(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || touch wait; touch made")
    daemon.step(job_id, "slow")
    restart(daemon)
    job = daemon.wait(job_id, "COMPLETED")
    assert job["attempt"] == 2
    daemon.wait_until_clean()


def test_a_job_killed_before_its_agent_started_is_queued_again(build: BuildDaemon) -> None:
    daemon = build(prepare='[["sh", "-c", "test -e ../../../../../go || { echo preparing; sleep 60; }"]]')
    daemon.start()
    job_id = daemon.dispatch("free", "touch made")  # of a type that fails when it is interrupted
    daemon.step(job_id, "prepare")
    daemon.kill()
    (daemon.root / "go").touch()
    daemon.start()
    job = daemon.wait(job_id, "COMPLETED")
    assert job["attempt"] == 2
    daemon.wait_until_clean()


@pytest.mark.parametrize(("type_", "status"), [("free", "FAILED"), ("again", "COMPLETED")])
def test_a_job_killed_while_publishing(build: BuildDaemon, type_: str, status: str) -> None:
    daemon = build()
    daemon.set_hook(f"test -e {daemon.root}/go || sleep 67")
    daemon.start()
    job_id = daemon.dispatch(type_, "echo $STITCHER_ATTEMPT > made")
    daemon.step(job_id, "publish")
    wait_until(lambda: daemon.has_process("sleep\x0067"), "the hook waits")
    daemon.kill()
    (daemon.root / "go").touch()
    daemon.start()
    job = daemon.wait(job_id, status)
    daemon.wait_until_clean()
    if status == "COMPLETED":
        assert daemon.git("show", f"{job['branch']}:made") == "2"
    else:
        assert daemon.git("branch", "--list", job["branch"]) == ""


def test_a_cancel_that_was_acknowledged_wins_over_a_kill(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("again", "trap '' TERM; while :; do sleep 0.1; done")
    daemon.step(job_id, "agent")
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel").status == 202
    restart(daemon)
    job = daemon.wait(job_id, "CANCELLED")
    assert (job["attempt"], events(job)[-1]) == (1, "job.cancelled")
    daemon.wait_until_clean()


def test_waiting_jobs_run_after_a_kill(build: BuildDaemon) -> None:
    daemon = build(daemon="workers = 1")
    daemon.start()
    running = daemon.dispatch("free", "sleep 60")
    daemon.step(running, "agent")
    waiting = [daemon.comment("@mosaic free touch made", issue=number).json["jobId"] for number in (1, 2, 3)]
    restart(daemon)
    assert {daemon.wait(job_id)["status"] for job_id in waiting} == {"COMPLETED"}
    assert daemon.job(running)["error"]["code"] == "interrupted"


def test_a_job_that_ends_within_the_grace_period_is_completed(build: BuildDaemon) -> None:
    daemon = build(daemon="workers = 1", grace="20s")
    daemon.start()
    ends = daemon.dispatch("free", "echo up; while [ ! -e ../../../../../go ]; do sleep 0.05; done; touch made")
    waits = daemon.dispatch("free", "touch made")
    daemon.step(ends, "agent")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.public("GET", "/readyz").status == 503, "the daemon is stopping")
    refused = daemon.comment("@mosaic fix it")
    assert (refused.status, refused.json["code"]) == (503, "shutting_down")
    assert int(refused.headers["Retry-After"]) > 0
    assert daemon.request("POST", "/runner-jobs", {"type": "free"}).json["code"] == "shutting_down"
    (daemon.root / "go").touch()
    assert daemon.process.wait(TIMEOUT) == 0
    assert not daemon.socket.exists()
    daemon.start()
    assert (daemon.job(ends)["status"], daemon.job(ends)["attempt"]) == ("COMPLETED", 1)
    assert daemon.wait(waits)["status"] == "COMPLETED"


def test_a_job_that_exceeds_the_grace_period_is_interrupted(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    fails = daemon.dispatch("free", "trap '' TERM; while :; do sleep 0.1; done")
    again = daemon.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60; touch made")
    for job_id in (fails, again):
        daemon.step(job_id, "agent")
    assert daemon.stop() == 0
    daemon.wait_until_clean()
    daemon.start()
    assert daemon.wait(again, "COMPLETED")["attempt"] == 2
    assert daemon.wait(fails, "FAILED")["error"]["code"] == "interrupted"


def test_a_second_signal_stops_the_daemon_at_once(build: BuildDaemon) -> None:
    daemon = build(grace="1h")
    daemon.start()
    job_id = daemon.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    daemon.step(job_id, "agent")
    process = daemon.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    wait_until(lambda: daemon.public("GET", "/readyz").status == 503, "the daemon is stopping")
    process.send_signal(signal.SIGTERM)
    assert process.wait(TIMEOUT) != 0
    daemon.start()
    assert daemon.wait(job_id, "COMPLETED")["attempt"] == 2


def test_a_client_that_reads_nothing_delays_nobody(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(str(daemon.socket))
        lazy.sendall(b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert {daemon.run("free", "seq 1 9999; touch made")["status"] for _ in range(3)} == {"COMPLETED"}
        assert daemon.stop(10.0) == 0
