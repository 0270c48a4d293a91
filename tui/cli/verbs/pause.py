"""`stitcher pause`: let nothing new start; what comes in is stored and waits, what runs goes on."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.api import PauseState
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import decode
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add the reason."""
    parser.add_argument("--reason", metavar="TEXT", help="shown to whoever wonders why nothing starts")


def run(options: Namespace, terminal: Terminal) -> int:
    """Pause, and print what still runs, an id a line."""
    document = daemon_client(options).post("/pause", {"reason": options.reason} if options.reason is not None else {})
    if options.json:
        terminal.document(document)
        return exits.OK
    pause = decode(document, PauseState)
    for job_id in pause.running:
        terminal.data(ids.short_id(job_id))
    why = f" ({plain(pause.reason)})" if pause.reason else ""
    terminal.note(f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{why}")
    terminal.note(f"{len(pause.running)} running, {pause.queued:,} queued; go on with: stitcher resume")
    return exits.OK
