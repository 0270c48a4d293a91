"""The whole demo: its result, and that nothing is left however it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import tui

ROOT = Path(tui.__file__).parents[1]


def _start(tmp: Path, *options: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tui", "demo", *options]
    environ = {**os.environ, "TMPDIR": str(tmp)}
    return subprocess.Popen(
        argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )


def _left(tmp: Path) -> list[str]:
    """Return the files below `tmp`, and the processes with it in their command line or working directory."""
    found = [str(path) for path in tmp.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "cmdline").read_bytes() + os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if os.fsencode(tmp) in known:
            found.append(process.name)
    return found


@pytest.fixture
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")


def test_the_demo_succeeds(tmp: Path) -> None:
    with _start(tmp, "--json") as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    report = json.loads(out)
    assert report["ok"]
    assert len(report["checks"]) == 12
    assert _left(tmp) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demo_that_is_interrupted_leaves_nothing(tmp: Path, number: signal.Signals) -> None:
    with _start(tmp) as demo:
        assert demo.stdout
        assert any("| I am a scripted stand-in" in line for line in demo.stdout)
        demo.send_signal(number)
        demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert _left(tmp) == []
