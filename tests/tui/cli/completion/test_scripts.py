"""The completion scripts in their shells."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tui
from tests.tui.cli.examine import Complete
from tests.tui.fake_api import FakeApi
from tui.cli.completion.scripts import SCRIPTS

ROOT = Path(tui.__file__).parents[1]


PROGRAM = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from tui.__main__ import main
from tui.cli.verbs import completion
completion._TIMEOUT = 30.0  # the machine may be busy
sys.exit(main())
"""


@pytest.fixture
def program(tmp_path: Path, api: FakeApi, completion: Complete) -> dict[str, str]:
    """Returns an environment in which `stitcher` is the one under test, with the API of `completion`."""
    path = tmp_path / "stitcher"
    path.write_text(PROGRAM.format(python=sys.executable, root=str(ROOT)))
    path.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "STITCHER_SOCKET": str(api.path)}


BASH = r"""
source <(stitcher completion bash)
complete -p stitcher
answer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stitcher stitcher; echo "${COMPREPLY[*]}"; }
answer stitcher canc
answer stitcher ls state : fa
answer stitcher ls state :
answer stitcher ls -type : fix,t
answer stitcher ls "'state:failed is:st"
answer stitcher ls --status = ca
answer stitcher show ''
answer stitcher dispatch ''
answer stitcher rails check "$PWD/fi"
answer stitcher --config "$PWD/d"
"""


def test_bash(program: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file with blanks").touch()
    (tmp_path / "dir").mkdir()
    shell = ["bash", "--noprofile", "--norc", "-c", BASH]
    ran = subprocess.run(shell, env=program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "complete -F _stitcher stitcher",
        "cancel",
        "failed",
        "pending queued running completed failed cancelled waiting cancelling",
        "",
        "state:failed is:stuck",
        "cancelled",
        "7f3a1c9d 01",
        "fix triage",
        f"{tmp_path}/file with blanks",
        f"{tmp_path}/dir",
    ]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_shell_accepts_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its script of `stitcher completion` was not looked at")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    ran = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_fish(program: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed: completion in it was not tried")
    ask = "stitcher completion fish | source; for l in canc 'ls state:fa' 'show 7'; complete -C \"stitcher $l\"; end"
    ran = subprocess.run(["fish", "--no-config", "-c", ask], env=program, capture_output=True, text=True, check=False)
    assert [line.partition("\t")[0] for line in ran.stdout.splitlines()] == ["cancel", "state:failed", "7f3a1c9d"]
