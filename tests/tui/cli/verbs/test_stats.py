"""`stitcher stats`: a table for people, the document for programs, and periods in which nothing ended."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

NOTHING = {
    "jobs": {"completed": 0, "failed": 0, "cancelled": 2},
    "durationMs": {"p50": None, "p95": None},
    "queueWaitMs": {"p50": None, "p95": None},
    "gates": [],
    "tries": {"first": 0, "later": 0},
    "inputTokens": 0,
    "outputTokens": 0,
    "costUsd": 0,
}
DAYS = documents.stats(documents.stats_item("2026-11-22"), documents.stats_item("2026-11-23", **NOTHING))


def test_a_table_of_days(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /stats"] = 200, DAYS
    code, out, err = stitcher("stats")
    assert code == 0
    header, summary = err.splitlines()
    first, second = out.splitlines()
    assert header.split("  ")[0] == "day"
    assert first.split()[:7] == ["2026-11-22", "41", "6", "1", "64", "%", "2m41s"]
    assert first.endswith("15m02s      12ms  48.0s    1.9M  $9.41  lint 98 % · tests 77 %")
    assert second.split() == ["2026-11-23", "0", "0", "2", *"\N{EN DASH}" * 7]
    assert [line.index("1st try") + len("1st try") for line in (header,)] == [first.index("64 %") + len("64 %")]
    assert summary == "50 jobs ended since 2026-11-08 00:00 UTC, $9.41"


def test_the_document_is_printed_for_programs(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /stats"] = 200, DAYS
    code, out, err = stitcher("stats", "--json")
    assert (code, json.loads(out), err) == (0, DAYS, "")


@pytest.mark.parametrize(
    ("argv", "by", "age"),
    [
        ((), "day", timedelta(days=14)),
        (("--since", "12h", "--by", "hour"), "hour", timedelta(hours=12)),
        (("--by", "repository", "--since", "36500D"), "repository", timedelta(days=36500)),
    ],
)
def test_the_request(api: FakeApi, stitcher: RunStitcher, argv: tuple[str, ...], by: str, age: timedelta) -> None:
    api.answers["GET /stats"] = 200, documents.stats(by=by)
    before = datetime.now(UTC)
    assert stitcher("stats", *argv)[0] == 0
    query = parse_qs(urlsplit(api.requests[0][0].removeprefix("GET ")).query)
    assert query["by"] == [by]
    assert before - age <= datetime.fromisoformat(query["since"][0]) <= datetime.now(UTC) - age


def test_an_empty_period_says_so(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["GET /stats"] = 200, documents.stats()
    code, out, err = stitcher("stats")
    assert (code, out) == (0, "")
    assert err == "no job has ended since 2026-11-08 00:00 UTC; `stitcher ls` shows those that have not\n"


def test_groups_are_named_for_people_and_cannot_move_the_cursor(api: FakeApi, stitcher: RunStitcher) -> None:
    items = [documents.stats_item(key) for key in ("octo-org/a\x1b[2Jpi", "")]
    api.answers["GET /stats"] = 200, documents.stats(*items, by="repository")
    out = stitcher("stats", "--by", "repository")[1]
    assert [line.split("  ")[0] for line in out.splitlines()] == ["octo-org/a\\x1b[2Jpi", "(none)"]
    api.answers["GET /stats"] = 200, documents.stats(documents.stats_item("2026-11-22T14:00Z"), by="hour")
    assert stitcher("stats", "--by", "hour")[1].startswith("2026-11-22 14:00  ")


@pytest.mark.parametrize("argv", [("--by", "week"), ("--since", "yesterday"), ("--since", "5")])
def test_a_bad_option_is_a_usage_error(stitcher: RunStitcher, argv: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as raised:
        stitcher("stats", *argv)
    assert raised.value.code == 2
