"""Times, columns and exit codes."""

import pytest

from tui import exits
from tui.columns import aligned, joined
from tui.times import age, clock, duration, milliseconds


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (-5, "0.0s"),
        (412, "0.4s"),
        (59_949, "59.9s"),
        (59_960, "1m00s"),
        (362_000, "6m02s"),
        (3_599_600, "1h00m"),
        (11_100_000, "3h05m"),
        (187_200_000, "2d04h"),
    ],
)
def test_duration(span: int, words: str) -> None:
    assert duration(span) == words


@pytest.mark.parametrize(
    ("span", "words"),
    [(-1, "0s ago"), (12_900, "12s ago"), (840_000, "14m ago"), (7_300_000, "2h ago"), (200_000_000, "2d ago")],
)
def test_age(span: int, words: str) -> None:
    assert age(span) == words


def test_times_of_the_wire() -> None:
    assert milliseconds("2026-11-22T14:02:11.284Z") == 1_795_356_131_284
    assert clock("2026-11-22T14:02:11.284Z") == "14:02:11.284"


def test_columns_stand_under_each_other_and_the_bending_one_bends() -> None:
    rows = [["a", "日本", "1"], ["bcd", "a long sentence about a gate", "22"]]
    assert [joined(row) for row in aligned(rows, right={2})] == [
        "a    日本                           1",
        "bcd  a long sentence about a gate  22",
    ]
    assert [joined(row) for row in aligned(rows, bends=1, columns=24)] == [
        "a    日本             1",
        "bcd  a long sentenc…  22",
    ]
    assert joined(aligned(rows, bends=1, columns=5)[1]) == "bcd  a long sent…  22"


@pytest.mark.parametrize(("status", "code"), [(422, 2), (403, 4), (404, 5), (409, 1), (429, 1), (500, 1), (503, 1)])
def test_an_answer_has_its_exit_code(status: int, code: int) -> None:
    assert exits.of_status(status) == code


@pytest.mark.parametrize(("codes", "code"), [([0], 0), ([0, 0], 0), ([5, 5], 5), ([5, 1], 1), ([0, 5], 6), ([1, 0], 6)])
def test_several_jobs_make_one_exit_code(codes: list[int], code: int) -> None:
    assert exits.of_many(codes) == code
