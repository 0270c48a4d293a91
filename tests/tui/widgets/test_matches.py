"""The next match of a search, and which of how many it is."""

import pytest

from tui.widgets.matches import match_note, next_match


@pytest.mark.parametrize(
    ("start", "backward", "found"),
    [(-1, False, 2), (2, False, 5), (5, False, None), (9, True, 5), (5, True, 2), (2, True, None)],
)
def test_the_next_match(start: int, found: int | None, *, backward: bool) -> None:
    assert next_match([2, 5], start, backward=backward) == found
    assert next_match([], start, backward=backward) is None


def test_the_note_on_a_match() -> None:
    assert match_note("x", [2, 5, 9], 5, backward=False) == "2 of 3"
    assert match_note("x", range(50_000), 1233, backward=False, more=True) == "1,234 of 50,000+"
    assert match_note("\x1b", [], None, backward=True) == "\\x1b is not above"
    assert match_note("x", [2], None, backward=False) == "x is not below"
