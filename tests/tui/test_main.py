"""The entry point: imports, exit codes and error messages."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tui
from shared import VERSION
from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.__main__ import main
from tui.cli.verbs import VERBS

HEAVY = (
    "asyncio",
    "aiohttp",
    "textual",
    "pydantic",
    "importlib.metadata",
    "tomllib",
    "tempfile",
    "stitcherd",
)


def test_ls_imports_nothing_heavy(api: FakeApi) -> None:
    api.answers["GET /runner-jobs"] = (200, {"items": [documents.job()], "next": None, "cursor": 1, "counts": {}})
    code = (
        "import sys; from tui.__main__ import main; code = main(sys.argv[1:]);"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    argv = [sys.executable, "-c", code, "--socket", str(api.path), "ls"]
    ran = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(tui.__file__).parents[1])
    assert ran.returncode == 0
    assert ran.stderr.splitlines()[-1] == "[]"


def test_the_version_equals_that_of_the_package() -> None:
    pyproject = Path(tui.__file__).parents[1] / "pyproject.toml"
    assert tomllib.loads(pyproject.read_text("utf-8"))["project"]["version"] == VERSION


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_module_and_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert "--socket" in capsys.readouterr().out


def test_global_options_may_be_before_or_after_the_verb(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers[f"GET /runner-jobs/{documents.JOB}"] = (200, documents.job())
    before = stitcher("--json", "show", documents.JOB)
    after = stitcher("show", documents.JOB, "--json")
    assert before == after
    assert json.loads(after[1])["id"] == documents.JOB
    assert main(["show", documents.JOB, "--socket", str(api.path)]) == 0


def test_the_default_verb_is_ls(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = (200, {"items": [], "next": None, "cursor": 0, "counts": {}})
    code, out, err = stitcher()
    assert (code, out) == (0, "")
    assert "no jobs yet" in err


@pytest.mark.parametrize("argv", [["ls", "--limit", "x"], ["nonsense"], ["show"], ["cancel"]])
def test_an_invalid_line_is_a_usage_error(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv)
    assert left.value.code == 2
    assert "usage: stitcher" in capsys.readouterr().err


def test_an_unreachable_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(tmp_path / "none.sock"), "ls"]) == 3
    stderr = capsys.readouterr().err
    assert str(tmp_path / "none.sock") in stderr
    assert "start it with: stitcherd" in stderr


def test_a_socket_path_that_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", f"/{'x' * 120}", "ls"]) == 2
    assert "107" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (422, "invalid", 2),
        (403, "forbidden", 4),
        (404, "not_found", 5),
        (409, "ambiguous_id", 1),
        (503, "storage_unavailable", 1),
    ],
)
def test_a_problem_is_printed_and_determines_the_exit_code(
    api: FakeApi, stitcher: RunStitcher, status: int, code: str, exit_code: int
) -> None:
    document = documents.problem(status, code, "no \x1b[31mway", hint="try\u202ethis")
    api.answers["GET /runner-jobs/7f3a1c9d"] = (status, document)
    assert stitcher("show", "7f3a1c9d") == (exit_code, "", "stitcher: no \\x1b[31mway\n  try\\u202ethis\n")


def test_an_error_without_a_problem_document(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = (502, b"<html>")
    assert stitcher("ls") == (1, "", "stitcher: the daemon answered 502 Bad Gateway\n")


@pytest.mark.parametrize("document", [b"", b"[]", b'{"items": 1}', b"\xff"])
def test_an_invalid_response(api: FakeApi, stitcher: RunStitcher, document: bytes) -> None:
    api.answers["GET /runner-jobs"] = (200, document)
    code, _, err = stitcher("ls")
    assert code == 1
    assert "not understood" in err


def test_an_argument_that_is_not_utf_8(stitcher: RunStitcher) -> None:
    assert stitcher("show", "\udcff")[0] == 2
    assert stitcher("ls", "--type", "\udcff")[0] == 2
    assert stitcher("dispatch", "fix", "--prompt", "\udcff")[0] == 2


def test_a_closed_pipe_gives_no_traceback(api: FakeApi) -> None:
    api.answers["GET /runner-jobs"] = (200, {"items": [documents.job()] * 5, "next": None, "cursor": 1, "counts": {}})
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out:
        argv = [sys.executable, "-m", "tui", "--socket", str(api.path), "ls"]
        ran = subprocess.run(argv, stdout=out, stderr=subprocess.PIPE, check=False, cwd=Path(tui.__file__).parents[1])
    assert (ran.returncode, ran.stderr) == (1, b"")
