"""Tests that a lock is held by one process, for as long as it lives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.processes import file_lock

HOLD = """
import sys
from pathlib import Path
from stitcherd.processes import file_lock
held = file_lock.acquire_lock(Path(sys.argv[1]), "it")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_second_process_learns_the_pid_of_the_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with file_lock.acquire_lock(path, "state directory /x"):
        with pytest.raises(file_lock.LockHeld, match=f"^state directory /x is in use by pid {os.getpid()}$"):
            file_lock.acquire_lock(path, "state directory /x")
        assert path.read_text() == f"{os.getpid()}\n", "a failed attempt changes nothing"
    file_lock.acquire_lock(path, "state directory /x").close()


def test_killing_the_holder_releases_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("4194304999 of an earlier daemon\n")
    env = os.environ | {"PYTHONPATH": str(Path(file_lock.__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(file_lock.LockHeld, match=f"it is in use by pid {other.pid}$"):
            file_lock.acquire_lock(path, "it")
        other.kill()
        other.wait(timeout=20)
    with file_lock.acquire_lock(path, "it"):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = file_lock.acquire_lock(path, "it")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        held.close()
        file_lock.acquire_lock(path, "it").close()
        child.communicate(b"\n", timeout=20)
