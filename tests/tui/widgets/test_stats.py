"""Bars and rows of statistics: their widths, their order, and what is too small to be seen."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.filters import parse_filter
from shared.stats import GateStats, Grouping, Median, Stats
from tests.tui import documents
from tui.text.stats import group_filter
from tui.widgets.stats import StatsList, gate_lines, stats_rows

NOW = datetime(2026, 11, 10, 1, 30, tzinfo=UTC)


def stats(*items: documents.Document, by: str = "day") -> Stats:
    return msgspec.convert(documents.stats(*items, by=by), Stats)


def jobs(key: str, completed: int, failed: int) -> documents.Document:
    return documents.stats_item(key, jobs={"completed": completed, "failed": failed, "cancelled": 0})


def test_days_without_jobs_are_listed_between_the_others_the_newest_first() -> None:
    rows = stats_rows(stats(documents.stats_item("2026-11-09")), NOW)
    assert [(row.key, row.item is not None) for row in rows] == [
        ("2026-11-10", False),
        ("2026-11-09", True),
        ("2026-11-08", False),
    ]


def test_hours_are_listed_likewise() -> None:
    rows = stats_rows(stats(documents.stats_item("2026-11-10T01:00Z"), by="hour"), NOW)
    assert (len(rows), rows[0].key, rows[-1].key) == (50, "2026-11-10T01:00Z", "2026-11-08T00:00Z")


def test_other_groups_keep_their_order() -> None:
    rows = stats_rows(stats(documents.stats_item("b"), documents.stats_item("a"), by="type"), NOW)
    assert [row.key for row in rows] == ["b", "a"]


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), min_size=1, max_size=5),
    st.integers(58, 200),
)
def test_every_line_is_as_wide_as_the_list_and_what_is_not_zero_is_seen(
    counts: list[tuple[int, int]], cells: int
) -> None:
    found = stats(*(jobs(str(at), *each) for at, each in enumerate(counts)), by="type")
    rows = StatsList()
    rows._by, rows._rows = found.by, stats_rows(found, NOW)
    rows._top = max(sum(each) for each in counts) or 1
    assert len("".join(text for text, _ in rows.heading(cells))) == cells
    for at, (completed, failed) in enumerate(counts):
        line = "".join(text for text, _ in rows.draw(at, cells))
        assert len(line) >= cells
        assert ("█" in line, "▒" in line) == (completed > 0, failed > 0)


def test_gates_are_ordered_by_their_time() -> None:
    gates = (GateStats("lint", 1, 0, Median(5)), GateStats("tests\x1b", 1, 2, Median(900)))
    texts = ["".join(text for text, _ in line) for line in gate_lines(gates)]
    assert [text.split()[0] for text in texts] == ["tests\\x1b", "lint"]
    assert "█████▒▒▒▒▒▒▒▒▒▒   33 % of 3" in texts[0]
    assert gate_lines(()) == []


@pytest.mark.parametrize(
    ("by", "key", "expected"),
    [
        (Grouping.DAY, "2026-11-22", "ended:2026-11-22"),
        (Grouping.HOUR, "2026-11-22T13:00Z", "ended:2026-11-22T13"),
        (Grouping.TYPE, 'a, "b" \\', 'type:"a, \\"b\\" \\\\" ended:>=2026-11-08'),
        (Grouping.EXECUTOR, "agent", "executor:agent ended:>=2026-11-08"),
        (Grouping.REPOSITORY, "octo-org/api", "repo:octo-org/api ended:>=2026-11-08"),
        (Grouping.REPOSITORY, "", "-repo:* ended:>=2026-11-08"),
    ],
)
def test_the_filter_of_a_group_can_be_parsed(by: Grouping, key: str, expected: str) -> None:
    found = group_filter(by, key, "2026-11-08T00:00:00.000Z")
    assert found == expected
    parse_filter(found)
