"""`stitcher tui`: what it needs of a terminal, and its theme."""

import os
import pty
import subprocess
import sys
from pathlib import Path


def test_an_unknown_theme_is_an_error_of_usage(tmp_path: Path) -> None:
    _, theirs = pty.openpty()
    program = [sys.executable, "-m", "tui", "--socket", str(tmp_path / "s"), "tui", "--theme", "no\x1bne"]
    environ = {**os.environ, "TERM": "xterm-256color"}
    ran = subprocess.run(
        program, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environ, text=True, check=False, timeout=60
    )
    assert (ran.returncode, "there is no theme no\\x1bne" in ran.stderr) == (2, True)
