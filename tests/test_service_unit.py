"""systemd has nothing to say against the unit that is shipped, wherever systemd-analyze is there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.locations import shipped_file

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze: apt-get install systemd"
)


def verify(directory: Path, unit: str) -> tuple[int, str]:
    """Return the exit code and the messages about a unit of a user, with a program that is there."""
    file = directory / "stitcherd.service"
    file.write_text(unit.replace("ExecStart=stitcherd\n", f"ExecStart={sys.executable}\n"))
    environ = os.environ | {"XDG_RUNTIME_DIR": str(directory), "HOME": str(directory)}
    argv = ["systemd-analyze", "--user", "verify", str(file)]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_the_shipped_unit_is_valid(tmp_path: Path) -> None:
    assert verify(tmp_path, Path(shipped_file("stitcherd.service")).read_text("utf-8")) == (0, "")


def test_a_key_that_systemd_does_not_know_would_be_found(tmp_path: Path) -> None:
    unit = Path(shipped_file("stitcherd.service")).read_text("utf-8")
    _, messages = verify(tmp_path, unit.replace("WatchdogSec=30", "WatchdogSeconds=30"))
    assert "'WatchdogSeconds'" in messages
