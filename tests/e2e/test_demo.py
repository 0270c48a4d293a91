"""The whole demo: its result, and that nothing is left however it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import tui
from tests.e2e.test_screens import Terminal

ROOT = Path(tui.__file__).parents[1]


def _start(tmp: Path, *options: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "tui", "demo", *options]
    environ = {**os.environ, "TMPDIR": str(tmp)}
    # Where the tests were started with SIGINT ignored, as by `nohup … &`, the demo would ignore it too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            argv, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _left(tmp: Path) -> list[str]:
    """Return the files below `tmp`, and the processes with it in their command line or working directory."""
    return [*map(str, tmp.iterdir()), *_processes(tmp)]


def _processes(tmp: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "cmdline").read_bytes() + os.fsencode((process / "cwd").readlink())
        except OSError:
            continue
        if os.fsencode(tmp) in known:
            found.append(process.name)
    return found


@pytest.fixture
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory for the demo; what a failed test leaves running there is killed."""
    directory = tmp_path_factory.mktemp("d")
    yield directory
    for process in _processes(directory):
        with suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


@pytest.mark.parametrize(("options", "checks"), [((), 12), (("--forge",), 13)])
def test_the_demo_succeeds(tmp: Path, options: tuple[str, ...], checks: int) -> None:
    with _start(tmp, "--json", *options) as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    report = json.loads(out)
    assert report["ok"]
    assert len(report["checks"]) == checks
    assert err.splitlines()[-1] == "look around: stitcher demo --keep"
    assert _left(tmp) == []


def test_a_kept_demo_ends_with_how_to_look_around_and_how_to_end_it(tmp: Path) -> None:
    with _start(tmp, "--keep") as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    lines = out.splitlines()
    at = lines.index("Kept, as requested. To look around:")
    assert at > next(number for number, line in enumerate(lines) if line.startswith("All "))
    export, *look, ending, end = (line.strip() for line in lines[at + 1 :])
    assert export.startswith("export STITCHER_SOCKET=")
    assert ending == "To stop and remove it:"
    commands = "\n".join([export, *(command for command in look if "JOB" not in command), end])
    assert commands.count("stitcher ls") == 1
    script = commands.replace("stitcher ls", f"{sys.executable} -m tui ls")
    ran = subprocess.run(["sh", "-euc", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "octo-org/api" in ran.stdout, "the list of jobs"
    assert "pages.py" in ran.stdout, "what git shows"
    assert _left(tmp) == []


@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_a_kept_demo_is_on_the_full_screen_and_removed_with_it(
    tmp: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals | None
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp))
    terminal = Terminal(["demo", "--keep"])
    terminal.until(lambda text: "octo-org/api#479" in text and "● live" in text)
    if number is None:
        assert terminal.end() == 0
    else:
        os.kill(terminal.pid, number)
        assert os.waitstatus_to_exitcode(os.waitpid(terminal.pid, 0)[1]) == 130
        while terminal.read(0.1):
            pass
    printed, drawn = terminal.raw.split(b"\x1b[?1049h")
    assert b"All 12 checks passed" in printed
    assert b"\x1b[?1049l" in drawn, "the terminal shows again what was printed"
    assert _left(tmp) == []


def test_the_demo_at_a_forge_prints_what_the_forge_saw_in_order(tmp: Path) -> None:
    with _start(tmp, "--forge") as demo:
        out, err = demo.communicate(timeout=60)
    assert demo.returncode == 0, err
    seen = out.partition("What the forge saw")[2].partition("The comment at the end")[0]
    order = (
        "what may octocat do here? write",
        "reaction eyes to the comment of octocat",
        "comment on #479: ",
        "git pushed stitcher/",
        "change #482 from stitcher/",
        "stitcher/fix is success",
        "the same comment, edited: **`fix`** is done",
        "what may drive-by do here? read",
        "reaction -1 to the comment of drive-by",
    )
    found = [seen.index(each) for each in order]
    until_push, after_push, second = found[:4], found[4:7], found[7:]
    assert until_push == sorted(until_push)
    assert until_push[-1] < min(after_push)
    assert max(after_push) < second[0] < second[1]
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
