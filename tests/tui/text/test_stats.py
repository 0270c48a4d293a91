"""Text for statistics."""

import pytest

from shared.stats import Grouping
from tui.text.jobs import DASH
from tui.text.stats import brief_duration, dollars, group_name, share


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(30, 47, "64 %"), (0, 9, "0 %"), (9, 9, "100 %"), (999, 1000, "99 %"), (1, 1000, "1 %"), (0, 0, DASH)],
)
def test_a_share_is_rounded_but_never_to_all_or_nothing(part: int, whole: int, shown: str) -> None:
    assert share(part, whole) == shown


@pytest.mark.parametrize(
    ("length", "shown"), [(None, DASH), (0, "0ms"), (99, "99ms"), (100, "0.1s"), (48_000, "48.0s"), (161_000, "2m41s")]
)
def test_short_times_are_in_milliseconds(length: int | None, shown: str) -> None:
    assert brief_duration(length) == shown


@pytest.mark.parametrize(("amount", "shown"), [(0, DASH), (0.214, "$0.21"), (131.4, "$131"), (12_345.0, "$12,345")])
def test_dollars(amount: float, shown: str) -> None:
    assert dollars(amount) == shown


def test_names_of_groups() -> None:
    assert group_name(Grouping.DAY, "2026-11-22") == "2026-11-22"
    assert group_name(Grouping.HOUR, "2026-11-22T14:00Z") == "2026-11-22 14:00"
    assert group_name(Grouping.REPOSITORY, "") == "(none)"
    assert group_name(Grouping.TYPE, "a\x07") == "a\\x07"
