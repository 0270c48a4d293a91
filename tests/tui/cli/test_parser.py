"""Command lines: global options anywhere, filter terms anywhere, and the usage shown for errors."""

import argparse
import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.__main__ import main
from tui.cli import verbs
from tui.cli.completion.candidates import complete


@pytest.mark.parametrize(
    "argv",
    [
        ("--json", "token", "new", "ci"),
        ("token", "--json", "new", "ci"),
        ("token", "new", "ci", "--json"),
    ],
)
def test_json_is_accepted_before_and_after_verb_and_action(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith('{"token":"stk_')


@pytest.mark.parametrize(
    "argv",
    [
        ("--socket", "/nowhere/s", "deliveries", "ls"),
        ("deliveries", "--socket", "/nowhere/s"),
        ("deliveries", "ls", "--socket", "/nowhere/s"),
    ],
)
def test_the_socket_is_accepted_before_and_after_the_verb(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 3
    assert "/nowhere/s" in capsys.readouterr().err


PAGE: dict[str, Any] = {"items": [], "next": None, "cursor": 0, "counts": {}}


@pytest.mark.parametrize(
    ("argv", "query"),
    [
        ("-gate:lint", "q=-gate%3Alint"),
        ("-gate:lint -state:failed", "q=-gate%3Alint+-state%3Afailed"),
        ("-- -gate:lint", "q=-gate%3Alint"),
        ("state:failed --limit 2 type:fix", "q=state%3Afailed+type%3Afix&limit=2"),
        ("--limit 2 -type:fix --before 7f3a1c9d x", "q=-type%3Afix+x&limit=2&before=7f3a1c9d"),
        ("a --limit 2 -- -b -gate:c", "q=a+-b+-gate%3Ac&limit=2"),
    ],
)
def test_filter_terms_may_be_anywhere(api: FakeApi, stitcher: RunStitcher, argv: str, query: str) -> None:
    api.answers["GET /runner-jobs"] = 200, PAGE
    assert stitcher("ls", *argv.split())[0] == 0
    assert api.requests == [(f"GET /runner-jobs?{query}", None)]


def test_a_negated_term_may_be_the_value_of_an_option(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/bulk"] = 200, {"matched": 0, "items": []}
    assert stitcher("cancel", "--filter", "-gate:lint", "--dry-run")[0] == 0
    assert api.requests == [("POST /runner-jobs/bulk", {"action": "cancel", "q": "-gate:lint", "dryRun": True})]


def test_jobs_may_be_on_both_sides_of_an_option(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs/7f3a1c9d"] = 200, documents.job(status="QUEUED")
    code, out, err = stitcher("cancel", "7f3a1c9d", "--dry-run", "00000000")
    assert (code, "would cancel 7f3a1c9d" in out, "00000000" in err) == (6, True, True)


@pytest.mark.parametrize(
    ("argv", "usage"),
    [
        ("ls -x", "usage: stitcher ls "),
        ("show a b", "usage: stitcher show "),
        ("cancel --filter x --dry-run a", "usage: stitcher cancel "),
        ("deliveries show --nope a", "usage: stitcher deliveries"),
    ],
)
def test_an_unknown_argument_shows_the_usage_of_the_verb(
    argv: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv.split())
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(usage)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("lst", "stitcher: error: argument VERB: unknown 'lst' (did you mean ls?); choose from tui, ls, show,"),
        ("--json dispach fix", "argument VERB: unknown 'dispach' (did you mean dispatch?); choose"),
        ("qqq", "argument VERB: unknown 'qqq'; choose from tui,"),
        ("deliveries shw", "unknown 'shw' (did you mean show?); choose from ls, show, replay"),
        ("completion bsh", "unknown 'bsh' (did you mean bash?); choose from"),
    ],
)
def test_a_mistyped_verb_or_action_names_the_closest(
    argv: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv.split())
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_a_configuration_directory_that_does_not_exist_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STITCHER_SOCKET", str(tmp_path / "s"))
    missing = tmp_path / "none"
    for argv in (("ls",), ("show", "7f3a1c9d"), ("pause",), ("rails", "show"), ("version",)):
        assert main(["--config", str(missing), *argv]) == 2
        captured = capsys.readouterr()
        assert captured.err.endswith(f"stitcher: --config {missing}: there is no directory {missing}\n")
    missing.mkdir()
    assert main(["--config", str(missing), "ls"]) == 3


def test_argparse_still_asks_check_value_whether_a_choice_is_known() -> None:
    assert list(inspect.signature(argparse.ArgumentParser._check_value).parameters) == ["self", "action", "value"]


def test_argparse_still_asks_parse_optional_whether_a_word_is_an_option() -> None:
    parameters = inspect.signature(argparse.ArgumentParser._parse_optional).parameters
    assert list(parameters) == ["self", "arg_string"]
    asked: list[str] = []

    class Parser(argparse.ArgumentParser):
        def _parse_optional(self, arg_string: str) -> Any:
            asked.append(arg_string)
            return None if arg_string == "-gate:lint" else super()._parse_optional(arg_string)

    parser = Parser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(["-gate:lint", "--json"])
    assert (options.words, options.json) == (["-gate:lint"], True)
    assert asked == ["-gate:lint", "--json"]


HELLO = """\
from tui.cli import exits


def arguments(parser):
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--loud", action="store_true", help="in capitals")


def run(options, terminal):
    terminal.data(options.name.upper() if options.loud else options.name)
    return exits.PARTLY
"""


def test_a_new_verb_is_one_file_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
    monkeypatch.setitem(verbs.VERBS, "hello", "print a name")
    assert main(["hello", "--loud", "ann", "--json"]) == 6
    assert capsys.readouterr().out == "ANN\n"
    with pytest.raises(SystemExit):
        main(["hello", "--help"])
    assert "Print a name." in capsys.readouterr().out
    assert [each.word for each in complete(["hel"], None).words] == ["hello"]
    assert [each.word for each in complete(["hello", "--lo"], None).words] == ["--loud"]
