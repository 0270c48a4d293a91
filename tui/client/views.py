"""Filters with a name: kept in a file of the user's own, shown as tabs, and written `@name` wherever a filter is."""

import os
import re
from pathlib import Path

import msgspec

VIEWS_FILE = "views.toml"
DEFAULT_VIEWS = {"stuck": "is:stuck"}  # while there is no file
MAX_TABS = 5  # tabs beside those that are always there: keys 5 to 9
FILE_HEADER = "# Views of stitcher, a name and its filter each: tabs on the screen, and `stitcher ls @name`.\n"
VIEW_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,19}")

_QUOTED_OR_MENTION = re.compile(r'"(?:[^"\\]|\\.)*"|(?:^|(?<=\s))@(\S+)')


class ViewError(ValueError):
    """A filter names a view that there is not, or the file of views cannot be understood."""


def load_views(config: Path) -> dict[str, str]:
    """Return the views by name, in their order; raises ViewError."""
    path = config / VIEWS_FILE
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return dict(DEFAULT_VIEWS)
    except (OSError, UnicodeDecodeError) as error:
        raise ViewError(f"{path} cannot be read: {error}") from error

    import tomllib  # noqa: PLC0415 (several ms of the first paint for those who have no such file)

    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ViewError(f"{path} cannot be read: {error}") from error
    for name, text in found.items():
        if not (VIEW_NAME.fullmatch(name) and isinstance(text, str)):
            raise ViewError(f'{path}: {name} is no view: write name = "filter", the name in small letters')
    return found


def save_views(config: Path, views: dict[str, str]) -> None:
    """Write all views, whole or not at all; raises OSError."""
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = config / VIEWS_FILE
    lines = [f"{name} = {msgspec.json.encode(text).decode()}\n" for name, text in views.items()]
    new = path.with_suffix(".new")
    new.write_text(FILE_HEADER + "".join(lines), "utf-8")
    os.replace(new, path)  # noqa: PTH105 (of Path.replace a symbolic link is nothing else)


def expand_views(text: str, views: dict[str, str]) -> str:
    """Return a filter with the views it names written out; raises ViewError."""

    def filter_of(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        if found[1] not in views:
            known = ", ".join(f"@{name}" for name in views) or "none"
            raise ViewError(f"there is no view @{found[1]} (there are: {known}); in quotes it is text to be found")
        return views[found[1]]

    return _QUOTED_OR_MENTION.sub(filter_of, text)
