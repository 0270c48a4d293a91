"""Parts of request paths: validated, and percent-encoded so that no value can leave its place."""

import re
from urllib.parse import quote

_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]+")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ID = re.compile(r"[1-9][0-9]{0,18}")


class InvalidReference(Exception):
    """A name, number or id that cannot be one of the forge's; the message says which."""


def segment(value: str) -> str:
    """Return one segment of a path: a login or a branch, in which `/` is encoded."""
    if value in {"", ".", ".."} or not value.isprintable():
        raise InvalidReference(f"{value[:80]!r} cannot be part of a path")
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise InvalidReference(f"{value[:80]!r} cannot be part of a path") from None


def names(repository: str) -> list[str]:
    """Return the parts of a repository's full name: its owner or groups, and its own name."""
    parts = repository.split("/")
    if len(parts) < 2 or any(part in {".", ".."} or not _NAME.fullmatch(part) for part in parts):
        raise InvalidReference(f"{repository[:80]!r} is not the name of a repository")
    return parts


def owner_and_name(repository: str) -> tuple[str, str]:
    """Return both parts of a repository's full name, where owners cannot be nested."""
    parts = names(repository)
    if len(parts) != 2:
        raise InvalidReference(f"{repository[:80]!r} is not owner/name")
    return parts[0], parts[1]


def number(value: str | int) -> str:
    """Return an id or a number of a thread as a segment."""
    if isinstance(value, bool) or not _ID.fullmatch(str(value)):
        raise InvalidReference(f"{str(value)[:80]!r} is not a number of the forge")
    return str(value)


def sha(value: str) -> str:
    """Return the full name of a commit as a segment."""
    if not _SHA.fullmatch(value):
        raise InvalidReference(f"{value[:80]!r} is not the full name of a commit")
    return value
