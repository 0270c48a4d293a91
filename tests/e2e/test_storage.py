"""A full disk and a locked database: nothing is accepted that cannot be stored, and the daemon recovers."""

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT
from tests.e2e.webhooks import comment_body, signed_headers

pytestmark = pytest.mark.sqlite  # what is made full or locked is its file


@contextmanager
def full_disk(daemon: DaemonHarness, room: int | None = None) -> Iterator[None]:
    """Let the daemon write to no file, or to none beyond the size of the write-ahead log plus `room` bytes.

    Without room not even below that size: once all of the log is in the database, it is written from its beginning.
    """
    assert daemon.process is not None
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    size = 0 if room is None else (daemon.state / "stitcher.db-wal").stat().st_size + room
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def locked(daemon: DaemonHarness) -> Iterator[None]:
    """Lock the database from another process."""
    db = sqlite3.connect(daemon.state / "stitcher.db", isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def assert_refused(daemon: DaemonHarness, body: bytes, headers: dict[str, str]) -> None:
    reply = daemon.public("POST", "/stitcher/webhook/github", body, headers)
    assert (reply.status, reply.json["code"]) == (503, "storage_unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert daemon.request("POST", "/runner-jobs", {"type": "free"}).json["code"] == "storage_unavailable"
    # Reads still work.
    assert daemon.get("/runner-jobs")["counts"]["completed"] == 1
    assert daemon.public("GET", "/healthz").status == 200


def assert_accepted(daemon: DaemonHarness, body: bytes, headers: dict[str, str]) -> None:
    reply = daemon.public("POST", "/stitcher/webhook/github", body, headers)
    assert (reply.status, reply.json["verdict"]) == (202, "allowed")
    assert daemon.wait(reply.json["jobId"], "COMPLETED")["attempt"] == 1


@pytest.mark.parametrize(("outage", "requests"), [(full_disk, 2), (locked, 1)])
def test_deliveries_are_refused_until_they_can_be_stored(
    build: BuildDaemon, outage: Callable[[DaemonHarness], AbstractContextManager[None]], requests: int
) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free")
    body = comment_body("@mosaic free touch made")
    headers = signed_headers(body)
    with outage(daemon):
        for _ in range(requests):
            assert_refused(daemon, body, headers)
        assert daemon.public("GET", "/readyz").status == 503
        checks = {check["name"]: check for check in daemon.get("/readyz", 503)["checks"]}
        assert [name for name, check in checks.items() if not check["ok"]] == ["storage"]
    wait_until(lambda: daemon.public("GET", "/readyz").status == 200, "the daemon is ready without any request")
    assert_accepted(daemon, body, headers)
    assert daemon.stop() == 0


def test_a_job_on_a_full_disk_ends_when_there_is_room(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("free", "echo up; while [ ! -e ../../../../../go ]; do sleep 0.05; done; touch made")
    daemon.step(job_id, "agent")
    with full_disk(daemon):
        (daemon.root / "go").touch()
        # The daemon handles this job, too, only after the end of the agent could not be written.
        assert daemon.comment("@mosaic fix it").status == 503
        assert daemon.job(job_id)["status"] == "RUNNING"
    job = daemon.wait(job_id)
    assert (job["status"], (job["error"] or {}).get("code")) in {("COMPLETED", None), ("FAILED", "storage_unavailable")}
    assert daemon.run("free")["status"] == "COMPLETED"


def test_output_that_cannot_be_stored_fails_only_its_job(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    with full_disk(daemon, 2**20):
        job = daemon.run("free", "seq 1 500000")
        assert (job["status"], job["error"]["code"]) == ("FAILED", "storage_unavailable")
        assert daemon.run("free")["status"] == "COMPLETED"
    assert "Traceback" not in daemon.log.read_text()


def test_a_short_lock_only_delays(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.dispatch("free", "echo up; sleep 60")
    daemon.step(job_id, "agent")
    with locked(daemon):
        assert daemon.job(job_id)["status"] == "RUNNING"
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel").status == 202
    daemon.wait(job_id, "CANCELLED")


def test_a_locked_or_full_disk_at_the_start_is_reported(build: BuildDaemon) -> None:
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
