"""The daemon as a child process: a start that fails, a stop that must be forced."""

import os
import sys
import time
from pathlib import Path

import pytest

from tui.cli import daemon_process
from tui.cli.daemon_process import NotReady


def test_a_daemon_that_ends_early_leaves_its_log(tmp_path: Path) -> None:
    program = (sys.executable, "-c", "import sys; sys.exit('stitcherd.toml:3: no')")
    process = daemon_process.start(tmp_path, tmp_path / "log", os.environ, program)
    with pytest.raises(NotReady, match="ended with exit code 1"):
        daemon_process.wait_until_ready("127.0.0.1", 9, process)
    assert daemon_process.log_tail(tmp_path / "log") == ["stitcherd.toml:3: no"]
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_process, "_STOP_TIMEOUT", 0.2)
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    process = daemon_process.start(tmp_path, tmp_path / "log", os.environ, (sys.executable, "-c", stubborn))
    while not daemon_process.log_tail(tmp_path / "log"):
        time.sleep(0.01)
    daemon_process.stop(process)
    assert process.returncode == -9
