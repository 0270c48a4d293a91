"""The demo's agent: it needs the gate's output to finish."""

import os
import subprocess
import sys
from pathlib import Path

from tui.cli.demo import agent, environment


def _tests(where: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-B", "-m", "unittest", "-v"]
    return subprocess.run(argv, cwd=where, capture_output=True, text=True, check=False)


def _agent(where: Path, number: int, prompt: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", agent.__file__]
    environ = {"PATH": os.environ["PATH"], "STITCHER_TRY": str(number)}
    return subprocess.run(argv, cwd=where, env=environ, input=prompt, capture_output=True, text=True, check=False)


def test_the_agent_needs_the_output_of_the_gate(tmp_path: Path) -> None:
    for name, text in environment.REPOSITORY_FILES.items():
        (tmp_path / name).write_text(text, "utf-8")
    assert "FAILED (failures=2)" in _tests(tmp_path).stderr
    first = _agent(tmp_path, 1, "the last row is missing\n")
    assert (first.returncode, "stand-in" in first.stdout) == (0, True)
    gate = _tests(tmp_path)
    assert "FAILED (failures=1)" in gate.stderr
    assert _agent(tmp_path, 2, "the last row is missing\n").returncode == 1
    assert _tests(tmp_path).returncode == 1
    assert _agent(tmp_path, 2, f"the last row is missing\n{gate.stderr}").returncode == 0
    assert _tests(tmp_path).returncode == 0
