"""`stitcher resume`: lets jobs start again after a pause."""

from argparse import ArgumentParser, Namespace

from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api


def arguments(parser: ArgumentParser) -> None:
    """Add nothing."""


def run(options: Namespace, terminal: Terminal) -> int:
    """Resume, and print how many jobs are queued."""
    reply = api.resume(daemon_client(options))
    if options.json:
        terminal.document(reply.raw)
    else:
        terminal.note(f"jobs start again: {reply.value.queued:,} queued")
    return exits.OK
