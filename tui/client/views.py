"""Saved views: named filters in a file of the user, shown as tabs and used as `@name` in any filter."""

import re
from pathlib import Path

import msgspec

from tui.client.preferences import save_file

VIEWS_FILE = "views.toml"
DEFAULT_VIEWS = {"stuck": "is:stuck"}  # without a file
MAX_TABS = 5  # tabs beside the fixed ones: keys 5 to 9
FILE_HEADER = "# Views of stitcher, each a name and its filter: tabs on the screen, and `stitcher ls @name`.\n"
VIEW_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,19}")

_QUOTED_OR_REFERENCE = re.compile(r'"(?:[^"\\]|\\.)*"|(?:^|(?<=\s))@(\S+)')


class ViewError(ValueError):
    """A filter refers to an unknown view, or the file of views is invalid."""


def load_views(config: Path) -> dict[str, str]:
    """Return the filters by name, in the order of the file; raises ViewError."""
    path = config / VIEWS_FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return dict(DEFAULT_VIEWS)
    except (OSError, UnicodeDecodeError) as error:
        raise ViewError(f"{path} cannot be read: {error}") from error

    import tomllib  # noqa: PLC0415 (saves several ms before the first paint without such a file)

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ViewError(f"{path} cannot be read: {error}") from error
    for name, text in found.items():
        if not (VIEW_NAME.fullmatch(name) and isinstance(text, str)):
            raise ViewError(f'{path}: {name} is not a view: write name = "filter", with a lower-case name')
    return found


def save_views(config: Path, views: dict[str, str]) -> None:
    """Write all views atomically; raises OSError."""
    lines = [f"{name} = {msgspec.json.encode(text).decode()}\n" for name, text in views.items()]
    save_file(config / VIEWS_FILE, FILE_HEADER + "".join(lines))


def expand_views(text: str, views: dict[str, str]) -> str:
    """Return a filter with each `@name` replaced by the filter of that view; raises ViewError."""

    def replacement(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        if found[1] not in views:
            known = ", ".join(f"@{name}" for name in views) or "none"
            raise ViewError(f"there is no view @{found[1]} (there are: {known}); in quotes it is free text")
        return views[found[1]]

    return _QUOTED_OR_REFERENCE.sub(replacement, text)
