"""`stitcher resume`: let jobs start again after a pause."""

from argparse import ArgumentParser, Namespace

from shared.api import PauseState
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import decode


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Resume, and say how many jobs wait for their turn."""
    document = daemon_client(options).post("/resume", {})
    if options.json:
        terminal.document(document)
    else:
        terminal.note(f"jobs start again: {decode(document, PauseState).queued:,} queued")
    return exits.OK
