"""FILTER arguments: how they are sent, and how errors in them are shown."""

from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

BULK = "POST /runner-jobs/bulk"

PAGE: tuple[int, Any] = (200, {"items": [], "next": None, "cursor": 9, "counts": {}})


def bulk(*items: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"matched": len(items), "items": list(items)}


@pytest.mark.parametrize("argv", [["state:failed", "-gate:lint", "a b"], ["state:failed -gate:lint a b"]])
def test_ls_sends_its_words_as_q(api: FakeApi, stitcher: RunStitcher, argv: list[str]) -> None:
    api.answers["GET /runner-jobs"] = PAGE
    code, _, err = stitcher("ls", "--limit", "2", "--", *argv)
    assert (code, err) == (0, "no job matches; all of them: stitcher ls\n")
    assert api.requests == [("GET /runner-jobs?q=state%3Afailed+-gate%3Alint+a+b&limit=2", None)]


@pytest.mark.parametrize("argv", [["ls", "ä", "stat:x"], ["cancel", "--yes", "--filter", "ä stat:x"]])
def test_an_error_is_marked_with_a_caret(api: FakeApi, stitcher: RunStitcher, argv: list[str]) -> None:
    refusal = (422, documents.problem(422, "invalid", "q: unknown key 'stat' at column 3", column=3))
    api.answers |= {"GET /runner-jobs": refusal, BULK: refusal}
    code, out, err = stitcher(*argv)
    assert (code, out) == (2, "")
    assert err == "stitcher: q: unknown key 'stat' at column 3\n  ä stat:x\n    ^\n"


def test_the_caret_accounts_for_wide_and_escaped_characters(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /runner-jobs"] = (422, documents.problem(422, "invalid", "no", column=4))
    assert stitcher("ls", "漢\x1b stat:x")[2].splitlines()[1:] == ["  漢\\x1b stat:x", "         ^"]
