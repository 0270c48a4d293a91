"""Suggests the known word that a mistyped one was most likely meant to be."""

import difflib
from collections.abc import Iterable

MAX_LENGTH = 80  # difflib is quadratic, and no known word is nearly as long


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to `word`, ignoring case, or None if none is close."""
    if len(word) > MAX_LENGTH:
        return None
    spelled = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), spelled, n=1)
    return spelled[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], form: str = "{}") -> str:
    """Return ` (did you mean X?)` for the closest known word, written as in `form`, or an empty string."""
    found = nearest(word, known)
    return "" if found is None else f" (did you mean {form.format(found)}?)"
