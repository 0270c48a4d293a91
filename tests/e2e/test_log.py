"""What an operator sees in the log of the daemon: decisions and jobs, in a line each, as text or JSON."""

import json

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import wait_until


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_job_from_its_webhook_to_its_end(build: BuildDaemon, form: str) -> None:
    daemon = build()
    daemon.write_settings()
    daemon.spawn(options=["--log-format", form])
    daemon.await_ready()
    job_id = str(daemon.comment("@mosaic fix touch made").json["jobId"])
    daemon.wait(job_id, "COMPLETED")
    daemon.comment("only a remark")
    daemon.stop()
    lines = daemon.log.read_text().splitlines()
    if form == "text":
        about = [line.partition("stitcherd.events: ")[2] for line in lines if job_id in line]
        names = [line.split(" ")[0] for line in about]
        assert all(f"jobId={job_id}" in line for line in about)
    else:
        documents = [json.loads(line) for line in lines]
        names = [each["message"] for each in documents if each.get("jobId") == job_id]
        received = next(each for each in documents if each["message"] == "delivery.received")
        assert (received["verdict"], received["level"]) == ("allowed", "info")
    assert names == ["delivery.received", "job.started", "job.completed"]
    assert not any("remark" in line or "ignored" in line for line in lines)


def test_a_failure_and_a_denial_are_there_while_it_runs(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("free", "exit 3")
    daemon.wait(job_id, "FAILED")
    wait_until(lambda: f"job.created jobId={job_id} actor=uid:" in daemon.log.read_text(), "who dispatched it")
    wait_until(lambda: f"WARNING stitcherd.events: job.failed jobId={job_id}" in daemon.log.read_text(), "its line")
