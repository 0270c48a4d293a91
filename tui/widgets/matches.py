"""The matches of a search in a list of rows: the next one, and which of how many it is."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from tui.text.plain import plain


def next_match(matches: Sequence[int], start: int, *, backward: bool) -> int | None:
    """Return the first of the ascending `matches` after `start`, or the last one before it; None if there is none."""
    at = bisect_left(matches, start) - 1 if backward else bisect_right(matches, start)
    return matches[at] if 0 <= at < len(matches) else None


def match_note(pattern: str, matches: Sequence[int], found: int | None, *, backward: bool, more: bool = False) -> str:
    """Return which of how many matches was found, like `3 of 12`, or that there is none; `more` are not counted."""
    if found is None:
        return f"{plain(pattern)} is not {'above' if backward else 'below'}"
    return f"{bisect_left(matches, found) + 1:,} of {len(matches):,}{'+' if more else ''}"
