"""Both programs where standard streams are closed, or full."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(redirections: str, *command: str) -> subprocess.CompletedProcess[str]:
    argv = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", *command]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("command", [("tui", "completion", "bash"), ("stitcherd", "--check", "--config", "config")])
def test_a_closed_stream_is_like_dev_null(redirections: str, command: tuple[str, ...]) -> None:
    usual = run("", *command)
    done = run(redirections, *command)
    assert done.returncode == usual.returncode
    assert "Traceback" not in done.stderr
    if " >&-" not in f" {redirections}":
        assert done.stdout == usual.stdout


def test_a_full_stdout_is_reported() -> None:
    done = run("> /dev/full", "tui", "completion", "bash")
    assert (done.returncode, done.stderr) == (1, "stitcher: stdout: No space left on device\n")
