"""A disk that is full and a database that another process holds: nothing is taken that cannot be kept, and it heals."""

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness
from tests.e2e.http_client import TIMEOUT
from tests.e2e.webhooks import comment_body, signed_headers


@contextmanager
def full_disk(daemon: DaemonHarness, room: int = 0) -> Iterator[None]:
    """Let no file of the daemon grow beyond what the write-ahead log has now, and `room` bytes."""
    assert daemon.process is not None
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = (daemon.state / "stitcher.db-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + room, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(daemon: DaemonHarness) -> Iterator[None]:
    """Hold the database as an impatient operator with a shell would."""
    db = sqlite3.connect(daemon.state / "stitcher.db", isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def refuses(daemon: DaemonHarness, body: bytes, headers: dict[str, str]) -> None:
    reply = daemon.public("POST", "/stitcher/webhook/github", body, headers)
    assert (reply.status, reply.json["code"]) == (503, "storage_unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert daemon.ask("POST", "/runner-jobs", {"type": "free"}).json["code"] == "storage_unavailable"
    # What needs no writing goes on.
    assert daemon.get("/runner-jobs")["counts"]["completed"] == 1
    assert daemon.public("GET", "/healthz").status == 200


def accepts(daemon: DaemonHarness, body: bytes, headers: dict[str, str]) -> None:
    reply = daemon.public("POST", "/stitcher/webhook/github", body, headers)
    assert (reply.status, reply.json["verdict"]) == (202, "allowed")
    assert daemon.wait(reply.json["jobId"], "COMPLETED")["attempt"] == 1


def test_a_full_disk_refuses_and_heals(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free")
    body = comment_body("@mosaic free touch made")
    headers = signed_headers(body)
    with full_disk(daemon):
        refuses(daemon, body, headers)
        refuses(daemon, body, headers)
    accepts(daemon, body, headers)
    assert daemon.stop() == 0


def test_a_job_that_met_a_full_disk_ends_when_there_is_room(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("free", "echo up; while [ ! -e ../../../../../go ]; do sleep 0.05; done; touch made")
    daemon.step(job_id, "agent")
    with full_disk(daemon):
        (daemon.root / "go").touch()
        # The daemon looks after this one, too, only when the agent's end could not be written.
        assert daemon.comment("@mosaic fix it").status == 503
        assert daemon.job(job_id)["status"] == "RUNNING"
    job = daemon.wait(job_id)
    assert (job["status"], (job["error"] or {}).get("code")) in {("COMPLETED", None), ("FAILED", "storage_unavailable")}
    assert daemon.run("free")["status"] == "COMPLETED"


def test_output_that_cannot_be_kept_fails_its_job_alone(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    with full_disk(daemon, 2**20):
        job = daemon.run("free", "seq 1 500000")
        assert (job["status"], job["error"]["code"]) == ("FAILED", "storage_unavailable")
        assert daemon.run("free")["status"] == "COMPLETED"
    assert "Traceback" not in daemon.log.read_text()


def test_a_locked_database_refuses_and_heals(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free")
    body = comment_body("@mosaic free touch made")
    headers = signed_headers(body)
    with locked(daemon):
        refuses(daemon, body, headers)
    accepts(daemon, body, headers)


def test_a_short_lock_is_waited_for(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("free", "echo up; sleep 60")
    daemon.step(job_id, "agent")
    with locked(daemon):
        assert daemon.job(job_id)["status"] == "RUNNING"
    assert daemon.ask("POST", f"/runner-jobs/{job_id}/cancel").status == 202
    daemon.wait(job_id, "CANCELLED")


def test_a_locked_or_full_disk_at_the_start_is_said(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.stop()
    with locked(daemon):
        assert daemon.start(ready=False).wait(TIMEOUT) == 1
    assert "locked" in daemon.log_tail(1)
    assert daemon.start(ready=False, around=("prlimit", "--fsize=20000")).wait(TIMEOUT) == 1
    assert "Traceback" not in daemon.log.read_text()
    daemon.start()
    assert daemon.run("free")["status"] == "COMPLETED"
