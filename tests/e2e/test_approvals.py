"""Jobs that wait for an approval, over the daemon's death and back."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness

RAILS = (Path(__file__).parent / "rails.yaml").read_text()
ASKING = RAILS.replace("not_in: [team, mosaic]}\n    then: deny", "not_in: [mosaic]}\n    then: require-approval")


def waiting(house: DaemonHarness) -> str:
    reply = house.comment("@mosaic free touch made")
    assert (reply.status, reply.json["verdict"], reply.json["status"]) == (202, "waiting", "PENDING"), reply.body
    return str(reply.json["jobId"])


@pytest.mark.parametrize("act", ["approve", "deny"])
def test_it_waits_through_a_kill_and_then_does_as_it_is_told(build: BuildDaemon, act: str) -> None:
    house = build(rails=ASKING)
    house.start()
    job_id = waiting(house)
    house.kill()
    house.start()
    assert house.job(job_id)["status"] == "PENDING"
    why = house.cli("why", job_id)
    assert why.stdout.startswith("WAITING FOR APPROVAL")
    assert "to allow it: the operator approves" in why.stdout
    done = house.cli(act, job_id[-8:], "--reason", "I have read it")
    assert (done.returncode, done.stderr) == (0, "")
    job = house.wait(job_id, "COMPLETED" if act == "approve" else "CANCELLED")
    assert ("made" in house.git("ls-tree", "--name-only", job["branch"])) if act == "approve" else job["steps"] == []
    again = house.cli(act, job_id, "--reason", "again")
    assert (again.returncode, "only PENDING jobs wait" in again.stderr) == (1, True)


def test_time_that_runs_out_while_nobody_is_there_has_run_out(build: BuildDaemon) -> None:
    house = build(rails=f"{ASKING}approvals: {{expires: 1s}}\n")
    house.start()
    job_id = waiting(house)
    end = datetime.fromisoformat(house.job(job_id)["events"][-1]["payload"]["expiresAt"])
    house.kill()
    time.sleep(max((end - datetime.now(UTC)).total_seconds(), 0))
    house.start()
    job = house.wait(job_id, "CANCELLED")
    assert (job["events"][-1]["type"], job["events"][-1]["payload"]) == (
        "job.cancelled",
        {"reason": "approval expired after 1s"},
    )
    assert house.ask("POST", f"/runner-jobs/{job_id}/approve", {}).json["code"] == "not_waiting"
