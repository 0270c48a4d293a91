"""Completion: what is offered follows from the parsers and from the daemon, and the shells put it on the line."""

import os
import shutil
import subprocess
import sys
from argparse import _SubParsersAction
from collections.abc import Callable
from pathlib import Path

import pytest

import tui
from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.__main__ import main
from tui.cli.completion.candidates import complete
from tui.cli.completion.scripts import SCRIPTS
from tui.cli.parser import VerbParser, build_parser
from tui.cli.verbs import VERBS, completion

ROOT = Path(tui.__file__).parents[1]
RAILS: documents.Document = {
    **dict.fromkeys(("revision", "loadedAt", "mode", "text", "error")),
    "path": "rails.yaml",
    "warnings": [],
    "effective": {"jobs": {"fix": {}, "triage": {}, "$(reboot)": {}}},
}

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(api: FakeApi) -> Offered:
    """Gives the words that are offered for the end of a line, with a daemon that knows two jobs and a delivery."""
    from tui.client.http import DaemonClient as Daemon

    hostile = documents.job(id="01", status="QUEUED", repository="$(reboot)", type="fix\x1b")
    api.answers["GET /runner-jobs"] = (
        200,
        {"items": [documents.job(), hostile], "next": None, "cursor": 1, "counts": {}},
    )
    api.answers["GET /deliveries"] = 200, {"items": [documents.DELIVERY], "next": None}
    api.answers["GET /rails"] = 200, RAILS

    def ask(*words: str) -> list[str]:
        return [each.word for each in complete(words, Daemon(api.path)).words]

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["canc"], ["cancel"]),
        (["--js"], ["--json"]),
        (["--socket", "/x", "--json", "retr"], ["retry"]),
        (["wait", "--"], ["--help", "--socket", "--config", "--json", "--timeout"]),
        (["wait", "--timeout", ""], []),
        (["ls", "--status", "c"], ["completed", "cancelled"]),
        (["ls", "--status=ca"], ["--status=cancelled"]),
        (["ls", "state:f"], ["state:failed"]),
        (["ls", "x", "-state:failed,q"], ["-state:failed,queued"]),
        (["ls", "type:fix state:o", "is:st"], ["is:stuck"]),
        (["cancel", "--filter", "state:failed is:o"], ["state:failed is:open", "state:failed is:over"]),
        (["ls", "-ga"], ["-gate:"]),
        (["ls", "--", "--"], []),
        (["ls", "repo:"], ["repo:octo-org/api"]),
        (["ls", "type:"], ["type:fix"]),
        (["dispatch", "--repo", ""], ["octo-org/api"]),
        (["dispatch", ""], ["fix", "triage"]),
        (["dispatch", "fix", "--re"], ["--repo", "--ref"]),
        (["show", "7f"], ["7f3a1c9d"]),
        (["show", "7f3a1c9d", "--d"], ["--diff"]),
        (["why", ""], ["7f3a1c9d", "01", "7f3a1c02"]),
        (["deliveries", "re"], ["replay"]),
        (["deliveries", "replay", "--dry-run", ""], ["7f3a1c02"]),
        (["deliveries", "ls", "--source", ""], ["github"]),
        (["deliveries", "ls", "--verdict", "al"], ["allowed"]),
        (["token", "new", "ci", "--permission", "jobs:w"], ["jobs:write"]),
        (["completion", ""], list(SCRIPTS)),
        (["nonsense", ""], []),
    ],
)
def test_what_is_offered(offered: Offered, line: list[str], words: list[str]) -> None:
    assert offered(*line) == words


def test_every_verb_is_offered_with_its_options(offered: Offered) -> None:
    assert offered("") == list(VERBS)
    parsers = next(action for action in build_parser()._actions if isinstance(action, _SubParsersAction)).choices
    for verb, parser in parsers.items():
        assert isinstance(parser, VerbParser)
        parser.load_arguments()
        shown = {name for action in parser._actions for name in action.option_strings if name.startswith("--")}
        assert set(offered(verb, "--")) == shown - {"--words"}


@pytest.mark.parametrize(
    ("verb", "statuses"), [("retry", "status=FAILED&status=CANCELLED"), ("approve", "status=PENDING"), ("show", "")]
)
def test_only_jobs_that_are_worth_it(offered: Offered, api: FakeApi, verb: str, statuses: str) -> None:
    offered(verb, "")
    assert api.requests == [(f"GET /runner-jobs?{statuses}{'&' * bool(statuses)}limit=100", None)]


@pytest.mark.parametrize(
    ("line", "kind"),
    [(["rails", "check", "x"], "files"), (["--config", ""], "directories"), (["bundle", "j", "-o", ""], "files")],
)
def test_files_are_the_shells_own(line: list[str], kind: str) -> None:
    assert complete(line, None).kind == kind


def test_a_daemon_that_is_not_there_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = f"--socket={tmp_path / 'none'}"
    assert main(["completion", f"--words={nobody}\x1fshow\x1f"]) == 0
    assert main(["completion", f"--words=--socket\x1f/{'x' * 200}\x1fshow\x1f"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("words\nwords\n", "")


def test_the_line_itself_names_the_daemon(
    offered: Offered, api: FakeApi, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completion, "_TIMEOUT", 30.0)
    assert main(["completion", f"--words=--socket\x1f{api.path}\x1fshow\x1f7"]) == 0
    assert capsys.readouterr().out == "words\n7f3a1c9d\tcompleted fix octo-org/api#479\n"


def test_a_shell_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 2
    assert "bash, zsh, fish" in capsys.readouterr().err


PROGRAM = """\
#!{python}
import sys
sys.path.insert(0, {root!r})
from tui.__main__ import main
from tui.cli.verbs import completion
completion._TIMEOUT = 30.0  # a busy machine is no fault of the script's
sys.exit(main())
"""


@pytest.fixture
def program(tmp_path: Path, api: FakeApi, offered: Offered) -> dict[str, str]:
    """An environment in which `stitcher` is this one, and its daemon the one of `offered`."""
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


def test_in_bash(program: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file with blanks").touch()
    (tmp_path / "dir").mkdir()
    shell = ["bash", "--noprofile", "--norc", "-c", BASH]
    ran = subprocess.run(shell, env=program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stderr == ""
    assert ran.stdout.splitlines() == [
        "complete -F _stitcher stitcher",
        "cancel",
        "failed",
        "pending queued running completed failed cancelled",
        "",
        "state:failed is:stuck",
        "cancelled",
        "7f3a1c9d 01",
        "fix triage",
        f"{tmp_path}/file with blanks",
        f"{tmp_path}/dir",
    ]


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_script_is_one_of_its_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its script of `stitcher completion` was not looked at")
    (tmp_path / "script").write_text(SCRIPTS[shell])
    ran = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_in_fish(program: dict[str, str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed: completion in it was not tried")
    ask = "stitcher completion fish | source; for l in canc 'ls state:fa' 'show 7'; complete -C \"stitcher $l\"; end"
    ran = subprocess.run(["fish", "--no-config", "-c", ask], env=program, capture_output=True, text=True, check=False)
    assert [line.partition("\t")[0] for line in ran.stdout.splitlines()] == ["cancel", "state:failed", "7f3a1c9d"]
