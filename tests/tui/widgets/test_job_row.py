"""A job as a row: which columns fit, and what they show."""

from itertools import pairwise

import msgspec
import pytest
from rich.cells import cell_len

from shared.models import RunnerJob
from tests.tui import documents
from tui.text.times import milliseconds
from tui.widgets.job_row import (
    COLUMNS,
    IDLE_COLUMNS,
    job_facts,
    job_heading,
    job_line,
    tokens,
    visible_columns,
)

NOW = milliseconds("2026-11-22T14:05:00.000Z")


def job(**more: object) -> RunnerJob:
    return msgspec.convert(documents.job(**more), RunnerJob)


@pytest.mark.parametrize("cells", [60, 80, 120, 200])
@pytest.mark.parametrize("without", [frozenset[str](), IDLE_COLUMNS])
def test_rows_and_heading_have_the_same_width(cells: int, without: frozenset[str]) -> None:
    wide = job(type="日本語日本語", repository="octo-org/👩\u200d💻" * 5)
    line = job_line(wide, "runs", cells, NOW, marked=True, without=without)
    heading = job_heading(cells, without)
    widths = {sum(cell_len(text) for text, _ in parts) for parts in (line, heading)}
    assert len(widths) == 1
    assert widths.pop() <= cells


def test_columns_of_low_rank_are_hidden_first() -> None:
    shown = [[column.name for column in visible_columns(cells)] for cells in (60, 80, 200)]
    assert [set(few) <= set(more) for few, more in pairwise(shown)] == [True, True]
    assert {"ID", "STATE", "THREAD"} <= set(shown[0])
    assert shown[2] == [column.name for column in COLUMNS]


@pytest.mark.parametrize(("number", "shown"), [(0, "–"), (812, "812"), (20_115, "20.1k"), (1_300_000, "1.3M")])  # noqa: RUF001
def test_tokens_are_rounded(number: int, shown: str) -> None:
    assert tokens(job(usage={"inputTokens": number, "outputTokens": 0, "costUsd": 0})) == shown


def test_the_commit_of_a_change_is_shown_early() -> None:
    pinned = job(ref="refs/pull/7/head", target="main", headSha="1a2b" * 10)
    assert job_facts(pinned).split(" · ")[:2] == ["source:github/octocat", "refs/pull/7/head at 1a2b1a2"]
    assert job_facts(job()).split(" · ")[:2] == ["source:github/octocat", "weaver → agent"]
