"""Filters of the command line."""

from argparse import Namespace

import msgspec

from shared.locations import config_dir
from tui.cli.terminal import Terminal
from tui.client.http import ApiError
from tui.client.views import expand_views, load_views
from tui.text.plain import plain, width


class _FilterProblem(msgspec.Struct):
    column: int


def expand_filter(text: str, options: Namespace) -> str:
    """Return a filter with the user's own views, `@stuck`, written out; raises ViewError."""
    return expand_views(text, load_views(config_dir(options.config))) if "@" in text else text


def report_filter_error(refused: ApiError, text: str, terminal: Terminal) -> bool:
    """Point at the place where the daemon stopped reading a filter; return whether that was its trouble."""
    column = _error_column(refused)
    if column is None:
        return False
    terminal.note(f"stitcher: {refused}")
    terminal.note(f"  {plain(text)}")
    terminal.note(f"  {' ' * width(plain(text[: column - 1]))}^")
    return True


def _error_column(refused: ApiError) -> int | None:
    try:
        return msgspec.json.decode(refused.document, type=_FilterProblem).column
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
