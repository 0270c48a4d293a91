"""Jobs that wait for an approval across a crash of the daemon."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness

RAILS = (Path(__file__).parent / "rails.yaml").read_text()
ASKING = RAILS.replace("not_in: [team, mosaic]}\n    then: deny", "not_in: [mosaic]}\n    then: require-approval")


def waiting(daemon: DaemonHarness) -> str:
    reply = daemon.comment("@mosaic free touch made")
    assert (reply.status, reply.json["verdict"], reply.json["status"]) == (202, "waiting", "PENDING"), reply.body
    return str(reply.json["jobId"])


@pytest.mark.parametrize("act", ["approve", "deny"])
def test_a_waiting_job_survives_a_crash(build: BuildDaemon, act: str) -> None:
    daemon = build(rails=ASKING)
    daemon.start()
    job_id = waiting(daemon)
    daemon.kill()
    daemon.start()
    assert daemon.job(job_id)["status"] == "PENDING"
    why = daemon.cli("why", job_id)
    assert why.stdout.startswith("WAITING FOR APPROVAL")
    assert "to allow it: the operator approves" in why.stdout
    done = daemon.cli(act, job_id[-8:], "--reason", "I have read it")
    assert (done.returncode, done.stderr) == (0, "")
    job = daemon.wait(job_id, "COMPLETED" if act == "approve" else "CANCELLED")
    assert ("made" in daemon.git("ls-tree", "--name-only", job["branch"])) if act == "approve" else job["steps"] == []
    again = daemon.cli(act, job_id, "--reason", "again")
    assert (again.returncode, "only PENDING jobs wait" in again.stderr) == (1, True)


def test_an_approval_expires_while_no_daemon_runs(build: BuildDaemon) -> None:
    daemon = build(rails=f"{ASKING}approvals: {{expires: 1s}}\n")
    daemon.start()
    job_id = waiting(daemon)
    end = datetime.fromisoformat(daemon.job(job_id)["events"][-1]["payload"]["expiresAt"])
    daemon.kill()
    time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0))
    daemon.start()
    job = daemon.wait(job_id, "CANCELLED")
    assert (job["events"][-1]["type"], job["events"][-1]["payload"]) == (
        "job.cancelled",
        {"reason": "approval expired after 1s"},
    )
    assert daemon.request("POST", f"/runner-jobs/{job_id}/approve", {}).json["code"] == "not_waiting"
