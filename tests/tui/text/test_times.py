"""Times and durations as text."""

import pytest

from tui.text.times import age, duration, milliseconds, time_of_day


@pytest.mark.parametrize(
    ("span", "text"),
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
def test_duration(span: int, text: str) -> None:
    assert duration(span) == text


@pytest.mark.parametrize(
    ("span", "text"),
    [(-1, "0s ago"), (12_900, "12s ago"), (840_000, "14m ago"), (7_300_000, "2h ago"), (200_000_000, "2d ago")],
)
def test_age(span: int, text: str) -> None:
    assert age(span) == text


def test_timestamps_of_the_api() -> None:
    assert milliseconds("2026-11-22T14:02:11.284Z") == 1_795_356_131_284
    assert time_of_day("2026-11-22T14:02:11.284Z") == "14:02:11.284"
