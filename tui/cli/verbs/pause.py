"""`stitcher pause`: let nothing new start; what comes in is stored and waits, what runs goes on."""

from argparse import ArgumentParser, Namespace

from shared import ids
from shared.house import Pause
from tui import exits
from tui.client import decode, reach
from tui.plain import plain
from tui.terminal import Terminal


def arguments(parser: ArgumentParser) -> None:
    """Add the reason."""
    parser.add_argument("--reason", metavar="TEXT", help="shown to whoever wonders why nothing starts")


def run(options: Namespace, terminal: Terminal) -> int:
    """Pause, and print what still runs, an id a line."""
    document = reach(options).post("/pause", {"reason": options.reason} if options.reason is not None else {})
    if options.json:
        terminal.document(document)
        return exits.OK
    pause = decode(document, Pause)
    for job_id in pause.running:
        terminal.data(ids.short(job_id))
    why = f" ({plain(pause.reason)})" if pause.reason else ""
    terminal.note(f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{why}")
    terminal.note(f"{len(pause.running)} running, {pause.queued:,} queued; go on with: stitcher resume")
    return exits.OK
