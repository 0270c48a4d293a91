"""Cancelling a job in every phase, and agents that resist it."""

import time
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness

STUBBORN = {
    "deaf": "trap '' TERM; while :; do sleep 0.1; done",
    "forking": "for i in 1 2 3; do (while :; do sleep 0.1; done) & done; wait",
    "escaping": "setsid sh -c \"trap '' TERM; while :; do sleep 0.1; done\" & setsid sleep 61 > /dev/null 2>&1 & wait",
    "daemon": "(setsid sh -c 'cd /; exec env -i sleep 62' &) ; sleep 60",
}


def cancel(daemon: DaemonHarness, job_id: str) -> Any:
    """Cancel a job; return it once it is finished, which may take two seconds."""
    reply = daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {"reason": "enough"})
    assert reply.status == 202, reply.body
    started = time.monotonic()
    job = daemon.wait(job_id, "CANCELLED")
    assert time.monotonic() - started < 4.0  # two seconds, and as much again for a busy machine
    return job


@pytest.mark.parametrize("script", STUBBORN.values(), ids=STUBBORN)
def test_an_agent_is_killed_with_all_its_processes(daemon: DaemonHarness, script: str) -> None:
    job_id = daemon.dispatch("free", f"echo up; {script}")
    daemon.step(job_id, "agent")
    job = cancel(daemon, job_id)
    daemon.wait_until_clean()
    assert [it["status"] for it in job["steps"]] == ["COMPLETED", "FAILED"]
    assert (job["error"], job["result"], job["completedAt"] is not None) == (None, None, True)
    assert daemon.git("branch", "--list", job["branch"]) == ""


def test_a_gate_is_killed(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("slow", "touch wait")
    daemon.step(job_id, "slow")
    job = cancel(daemon, job_id)
    daemon.wait_until_clean()
    assert [it["status"] for it in job["steps"] if it["type"] == "GATE"] == ["FAILED"]


def test_a_finished_agent_leaves_no_process(daemon: DaemonHarness) -> None:
    daemon.run("free", "setsid sleep 63 & setsid sh -c \"trap '' TERM; sleep 64\" > /dev/null 2>&1 &")
    daemon.wait_until_clean()


def test_a_waiting_job_is_cancelled_at_once(build: BuildDaemon) -> None:
    daemon = build(daemon="workers = 1")
    daemon.start()
    running = daemon.dispatch("free", "sleep 60")
    daemon.step(running, "agent")
    waiting = daemon.dispatch("free", "touch ran")
    reply = daemon.request("POST", f"/runner-jobs/{waiting}/cancel")
    assert (reply.status, reply.json["status"]) == (202, "CANCELLED")
    cancel(daemon, running)
    after = daemon.run("free")
    assert after["status"] == "COMPLETED"
    job = daemon.job(waiting)
    assert (job["status"], job["steps"], job["startedAt"]) == ("CANCELLED", [], None)
    assert [it["type"] for it in job["events"]] == ["job.created", "job.queued", "job.cancelled"]


def test_the_highest_priority_starts_first(build: BuildDaemon) -> None:
    daemon = build(daemon="workers = 1")
    daemon.start()
    first = daemon.dispatch("free", "sleep 60")
    daemon.step(first, "agent")
    jobs = {priority: daemon.dispatch("free", priority=priority) for priority in (5, 0, 10, 7)}
    later = daemon.dispatch("free", priority=7)
    cancel(daemon, first)
    started = {name: daemon.wait(job_id)["startedAt"] for name, job_id in [*jobs.items(), ("later", later)]}
    assert sorted(started, key=lambda name: started[name]) == [10, 7, "later", 5, 0]


def test_prepare_is_killed(build: BuildDaemon) -> None:
    daemon = build(prepare='[["sh", "-c", "echo preparing; sleep 60"]]')
    daemon.start()
    job_id = daemon.dispatch("free", "touch ran")
    daemon.step(job_id, "prepare")
    job = cancel(daemon, job_id)
    daemon.wait_until_clean()
    assert [it["name"] for it in job["steps"]] == ["checkout", "prepare"]


def test_a_checkout_is_killed(build: BuildDaemon) -> None:
    daemon = build(settings='[repositories."slow-org/*"]\nclone = "ssh://localhost:1/x.git"')
    # A repository that never responds: git waits for a program that sleeps.
    (daemon.root / "bin").mkdir()
    (daemon.root / "bin" / "ssh").write_text("#!/bin/sh\nexec sleep 65\n")
    (daemon.root / "bin" / "ssh").chmod(0o755)
    daemon.start(around=("env", f"PATH={daemon.root}/bin:/usr/local/bin:/usr/bin:/bin"))
    job_id = daemon.dispatch("reads", repository="slow-org/x")
    daemon.step(job_id, "checkout")
    cancel(daemon, job_id)
    daemon.wait_until_clean()


def test_a_second_cancel_changes_nothing(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free", "trap '' TERM; sleep 60")
    daemon.step(job_id, "agent")
    for reason in ("first", "second"):
        assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {"reason": reason}).status == 202
    job = daemon.wait(job_id, "CANCELLED")
    assert [it["payload"] for it in job["events"] if it["type"] == "job.cancelled"] == [{"reason": "first"}]


def test_a_cancelled_job_can_be_retried(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free", "[ $STITCHER_ATTEMPT = 2 ] || sleep 60")
    daemon.step(job_id, "agent")
    cancel(daemon, job_id)
    assert daemon.request("POST", f"/runner-jobs/{job_id}/retry").status == 202
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["attempt"], job["cancelRequested"]) == (2, False)
