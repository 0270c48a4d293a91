"""Compares, matches and displays the names that rails and deliveries contain."""

import re
from collections.abc import Iterable

_MAX_SHOWN = 200  # characters


def fold(text: str) -> str:
    """Return a name as it is compared: without case, but only in ASCII, so that no look-alike becomes a match."""
    return text.lower() if text.isascii() else text


def joined_names(names: Iterable[str], none: str) -> str:
    """Return names as a check shows them: joined, and cut off if a sender sent more than anyone reads."""
    text = ", ".join(names) or none
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def name_pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern that a whole name must match: any of the globs, and none of those that begin with `!`.

    `*` matches anything, also `/`. Each step between stars is atomic, so that no name makes matching slow.
    """
    return _compile(patterns, end=r"\Z")


def path_pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return the pattern that a path in a repository must match, or None without globs.

    As in `name_pattern`; also, as at forges, a leading `**/` may match nothing, and a directory matches all below it.
    """
    included = []
    for pattern in patterns:
        sign, bare = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        bare = bare.rstrip("/") or "*"
        starts = (bare, bare.removeprefix("**/")) if bare.startswith("**/") else (bare,)
        included += [f"{sign}{start}" for start in starts]
    return _compile(tuple(included), end=r"(?:/.*)?\Z") if included else None


def _compile(patterns: tuple[str, ...], end: str) -> re.Pattern[str]:
    included = "|".join(_expression(each) for each in patterns if not each.startswith("!"))
    excluded = "|".join(_expression(each[1:]) for each in patterns if each.startswith("!"))
    exclusion = rf"(?!(?:{excluded}){end})" if excluded else ""
    return re.compile(rf"{exclusion}(?:{included}){end}", re.IGNORECASE | re.ASCII | re.DOTALL)


def _expression(pattern: str) -> str:
    first, *rest = (re.escape(piece) for piece in re.split(r"\*+", pattern))
    if not rest:
        return first
    steps = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return f"{first}{steps}.*{rest[-1]}"
