"""`stitcher resume`: let jobs start again after a pause."""

from argparse import ArgumentParser, Namespace

from shared.house import Pause
from tui import exits
from tui.client import decode, reach
from tui.terminal import Terminal


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Resume, and say how many jobs wait for their turn."""
    document = reach(options).post("/resume", {})
    if options.json:
        terminal.document(document)
    else:
        terminal.note(f"jobs start again: {decode(document, Pause).queued:,} queued")
    return exits.OK
