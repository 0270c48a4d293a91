"""A small file system that jobs fill: their checkouts make room, also at the next start."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT

FILL = "head -c 90000000 /dev/zero > big"


@pytest.fixture
def small_disk(build: BuildDaemon) -> Iterator[DaemonHarness]:
    """Yield a daemon, not started, whose state directory is a file system of 64 MiB."""
    daemon = build()
    daemon.state.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(daemon.state)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("NOT TESTED HERE: no permission to mount a small file system")
    yield daemon
    daemon.kill()
    subprocess.run(["umount", "--lazy", str(daemon.state)], check=True)


def free_bytes(daemon: DaemonHarness) -> int:
    status = os.statvfs(daemon.state)
    return status.f_bavail * status.f_frsize


def test_jobs_wait_while_the_disk_is_nearly_full(small_disk: DaemonHarness) -> None:
    small_disk.start()
    (small_disk.state / "filler").write_bytes(bytes(free_bytes(small_disk) - 900_000))
    reply = small_disk.comment("@mosaic free touch made")
    assert reply.status == 202
    held = f"storage: less than 1.3 MiB are free in {small_disk.state}"
    wait_until(lambda: small_disk.job(reply.json["jobId"])["held"] == held, "the job is held for lack of space")
    (small_disk.state / "filler").unlink()
    assert small_disk.wait(reply.json["jobId"], "COMPLETED")["attempt"] == 1


def test_an_agent_that_fills_the_disk_fails_and_leaves_room(small_disk: DaemonHarness) -> None:
    small_disk.start()
    job = small_disk.run("free", FILL)
    assert job["status"] == "FAILED"
    assert not (small_disk.state / "checkouts" / job["id"]).exists()
    assert small_disk.run("free")["status"] == "COMPLETED"
    assert small_disk.public("GET", "/readyz").status == 200


@pytest.mark.sqlite
def test_a_disk_filled_by_a_job_is_emptied_before_the_store_is_opened(small_disk: DaemonHarness) -> None:
    small_disk.start()
    kept = small_disk.run("free", "echo broken; exit 1")
    job_id = small_disk.dispatch("free", f"{FILL}; echo full; sleep 60")
    wait_until(lambda: free_bytes(small_disk) == 0, "the disk is full")
    small_disk.kill()
    small_disk.start()
    job = small_disk.wait(job_id, "FAILED")
    assert job["error"]["code"] in {"interrupted", "storage_unavailable"}
    assert not (small_disk.state / "checkouts" / job_id).exists()
    assert (small_disk.state / "checkouts" / kept["id"]).exists(), "no more is deleted than is needed"
    assert small_disk.run("free")["status"] == "COMPLETED"


def test_a_start_on_a_disk_that_others_fill_says_what_to_do(small_disk: DaemonHarness) -> None:
    (small_disk.state / "filler").write_bytes(bytes(free_bytes(small_disk)))
    assert small_disk.start(ready=False).wait(TIMEOUT) == 1
    assert str(small_disk.state) in small_disk.log_tail(1)
    assert "free some space" in small_disk.log_tail(1)
    assert "Traceback" not in small_disk.log.read_text()
