"""Filters on the command line: expands saved views, and shows where a filter has an error."""

from argparse import Namespace

from msgspec import UNSET

from shared.locations import config_dir
from tui.cli.terminal import Terminal
from tui.client.http import ApiError
from tui.client.views import expand_views, load_views
from tui.text.plain import plain, width


def expand_filter(text: str, options: Namespace) -> str:
    """Return a filter with the user's saved views, such as `@stuck`, expanded; raises ViewError."""
    return expand_views(text, load_views(config_dir(options.config))) if "@" in text else text


def report_filter_error(error: ApiError, text: str, terminal: Terminal) -> bool:
    """Print an error in a filter with a caret below its column; return False if the error is another one."""
    column = error.problem.column
    if column is UNSET:
        return False
    terminal.note(f"stitcher: {error}")
    terminal.note(f"  {plain(text)}")
    terminal.note(f"  {' ' * width(plain(text[: column - 1]))}^")
    return True
