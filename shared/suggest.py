"""The known word that a mistyped one was most likely meant to be."""

import difflib
from collections.abc import Iterable

MAX_LENGTH = 80  # difflib is quadratic, and no word of ours comes near


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to `word`, whatever its case, or None where none is close."""
    if len(word) > MAX_LENGTH:
        return None
    spelled = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), spelled, n=1)
    return spelled[found[0]] if found else None
