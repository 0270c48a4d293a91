"""A backup of a daemon at work, and a restore, which a running daemon prevents."""

import os
import subprocess
import sys

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness


def restore(daemon: DaemonHarness, file: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stitcherd", "restore", file, "--config", str(daemon.config)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STITCHER_")}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.sqlite
def test_what_was_backed_up_is_there_again(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    first = daemon.run("free", "true")["id"]
    file = daemon.root / "backup.db"
    made = daemon.cli("backup", str(file))
    assert (made.returncode, made.stdout) == (0, f"{file}\n")
    assert daemon.cli("backup", str(file)).returncode == 1
    second = daemon.run("free", "true")["id"]
    refused = restore(daemon, str(file))
    assert daemon.process is not None
    assert (refused.returncode, f"is in use by pid {daemon.process.pid}" in refused.stderr) == (1, True)
    instance = daemon.get("/meta")["instance"]
    daemon.kill()
    assert restore(daemon, str(daemon.root / "none")).returncode == 1
    restored = restore(daemon, str(file))  # without the secrets of the settings in its environment
    assert (restored.returncode, restored.stderr) == (0, "")
    daemon.start()
    assert [job["id"] for job in daemon.get("/runner-jobs")["items"]] == [first]
    assert daemon.get("/meta")["instance"] != instance
    (kept,) = daemon.state.glob("stitcher.db.before-restore-*")
    daemon.stop()
    assert restore(daemon, str(kept)).returncode == 0
    daemon.start()
    assert [job["id"] for job in daemon.get("/runner-jobs")["items"]] == [second, first]


@pytest.mark.sqlite
def test_a_backup_takes_the_place_of_a_damaged_database(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job_id = daemon.run("free", "true")["id"]
    file = daemon.root / "backup.db"
    assert daemon.cli("backup", str(file)).returncode == 0
    daemon.kill()
    (daemon.state / "stitcher.db").write_bytes(b"")
    process = daemon.start(ready=False)
    assert process.wait(20) == 1
    assert "restore a backup (stitcherd restore FILE)" in daemon.log_tail()
    assert restore(daemon, str(file)).returncode == 0
    daemon.start()
    assert [job["id"] for job in daemon.get("/runner-jobs")["items"]] == [job_id]
