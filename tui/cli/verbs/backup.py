"""`stitcher backup`: lets the daemon copy its database to a new file."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from shared.units import format_size
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.plain import plain

_TIMEOUT = 3600.0  # seconds: a large database takes its time


def arguments(parser: ArgumentParser) -> None:
    """Add the file."""
    parser.add_argument(
        "file", metavar="FILE", help="where to: a file that does not exist yet, on the daemon's machine"
    )


def run(options: Namespace, terminal: Terminal) -> int:
    """Make the copy, and print its path."""
    path = str(Path(options.file).absolute())
    reply = api.back_up(daemon_client(options).with_timeout(_TIMEOUT), path)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    terminal.data(plain(reply.value.path))
    terminal.note(f"{format_size(reply.value.bytes)}; put it back with: stitcherd restore FILE, while no daemon runs")
    return exits.OK
