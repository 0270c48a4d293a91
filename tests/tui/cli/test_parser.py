"""A line of `stitcher` as people write it: words of a filter in any place; errors show the usage of the verb."""

from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher
from tui.__main__ import main

# merged from tests.tui.test_options: What may stand everywhere may stand everywhere.


@pytest.mark.parametrize(
    "argv",
    [
        ("--json", "token", "new", "ci"),
        ("token", "--json", "new", "ci"),
        ("token", "new", "ci", "--json"),
    ],
)
def test_json_before_and_behind_verb_and_action(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
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
def test_the_socket_before_and_behind(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
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
def test_words_of_a_filter(api: FakeApi, stitcher: RunStitcher, argv: str, query: str) -> None:
    api.answers["GET /runner-jobs"] = 200, PAGE
    assert stitcher("ls", *argv.split())[0] == 0
    assert api.requests == [(f"GET /runner-jobs?{query}", None)]


def test_a_filter_behind_its_option(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /runner-jobs/bulk"] = 200, {"matched": 0, "items": []}
    assert stitcher("cancel", "--filter", "-gate:lint", "--dry-run")[0] == 0
    assert api.requests == [("POST /runner-jobs/bulk", {"action": "cancel", "q": "-gate:lint", "dryRun": True})]


def test_jobs_on_both_sides_of_an_option(api: FakeApi, stitcher: RunStitcher) -> None:
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
def test_what_is_not_known_shows_the_usage_of_the_verb(
    argv: str, usage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(argv.split())
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith(usage)
