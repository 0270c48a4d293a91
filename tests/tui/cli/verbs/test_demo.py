"""`stitcher demo` without git, and how the full screen of a kept one ends."""

import json
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import patch

import pytest

from tui.cli import daemon_process
from tui.cli.demo import environment
from tui.cli.demo.environment import DemoEnvironment
from tui.cli.verbs import demo

SLOW_SCREEN = """\
#!/bin/sh
trap 'sleep 1; touch ended; exit 0' INT
touch started
while :; do sleep 0.05; done
"""


def test_the_demo_without_git_fails_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(environment.__file__).parents[3])}
    argv = [sys.executable, "-m", "tui", "demo", "--json"]
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["ok"] is False
    assert "git is not on PATH" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_demo_waits_for_its_screen_which_restores_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "screen"
    program.write_text(SLOW_SCREEN)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(daemon_process, "PACKAGES", tmp_path)
    wait = subprocess.Popen.wait

    def interrupted(screen: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        if timeout is None:
            while not (tmp_path / "started").exists():
                time.sleep(0.01)
            raise KeyboardInterrupt
        return wait(screen, timeout)

    kept = DemoEnvironment(tmp_path, tmp_path, tmp_path, "", tmp_path, tmp_path, 0, "", "", sandboxed=False)
    with patch.object(subprocess.Popen, "wait", interrupted), pytest.raises(KeyboardInterrupt):
        demo._open_screen(kept)
    assert (tmp_path / "ended").exists()
