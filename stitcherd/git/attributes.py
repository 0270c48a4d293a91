"""Attributes of git: which `.gitattributes` decide how a file is converted."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import PurePosixPath

ATTRIBUTES_FILE = ".gitattributes"
WILDCARDS = frozenset("*?[\\")


def attributes_above(names: Sequence[str]) -> list[str]:
    """Return pathspecs for the attributes of each directory above a named path, or above what a pattern may match."""
    return list(dict.fromkeys(spec for name in names for spec in _specs(PurePosixPath(name))))


def _specs(name: PurePosixPath) -> Iterator[str]:
    fixed = PurePosixPath(*takewhile(WILDCARDS.isdisjoint, name.parts))
    yield from (f"./{parent / ATTRIBUTES_FILE}" for parent in fixed.parents)
    if fixed != name:  # the pattern may match at any depth, since `*` matches `/` too
        yield f"./{fixed / ATTRIBUTES_FILE}"
        yield f":(glob){str(fixed).lstrip('/')}/**/{ATTRIBUTES_FILE}"
