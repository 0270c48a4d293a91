"""`stitcher demo` without git."""

import json
import subprocess
import sys
from pathlib import Path

from tui.cli.demo import environment


def test_the_demo_without_git_fails_and_leaves_nothing(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(environment.__file__).parents[3])}
    argv = [sys.executable, "-m", "tui", "demo", "--json"]
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert json.loads(ran.stdout)["ok"] is False
    assert "git is not on PATH" in ran.stderr
    assert list(tmp_path.iterdir()) == []
