"""Compiled globs."""

import re
from collections.abc import Iterable

_MAX_SHOWN = 200  # characters


def fold(text: str) -> str:
    """Return a name as it is compared: without case, but only in ASCII, so that no look-alike becomes a match."""
    return text.lower() if text.isascii() else text


def joined_names(names: Iterable[str], none: str) -> str:
    """Return names as a check shows them: joined, and cut where a sender sent more than anyone reads."""
    text = ", ".join(names) or none
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def name_pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return what a whole name must match: any of the globs, and none of those that begin with `!`.

    `*` matches anything, `/` too. Each step between stars is atomic: no name makes matching slow.
    """
    wanted = "|".join(_expression(each) for each in patterns if not each.startswith("!"))
    unwanted = "|".join(_expression(each[1:]) for each in patterns if each.startswith("!"))
    refusal = rf"(?!(?:{unwanted})\Z)" if unwanted else ""
    return re.compile(rf"{refusal}(?:{wanted})\Z", re.IGNORECASE | re.ASCII | re.DOTALL)


def path_pattern(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return what a path of a repository must match, or None without patterns: as `glob`, with two habits of forges.

    A leading `**/` may stand for nothing, and a directory means all below it.
    """
    wanted = []
    for pattern in patterns:
        sign, bare = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
        bare = bare.rstrip("/") or "*"
        starts = (bare, bare.removeprefix("**/")) if bare.startswith("**/") else (bare,)
        wanted += [f"{sign}{start}{below}" for start in starts for below in ("", "/*")]
    return name_pattern(tuple(wanted)) if wanted else None


def _expression(pattern: str) -> str:
    first, *rest = (re.escape(piece) for piece in re.split(r"\*+", pattern))
    if not rest:
        return first
    steps = "".join(f"(?>.*?{piece})" for piece in rest[:-1])
    return f"{first}{steps}.*{rest[-1]}"
