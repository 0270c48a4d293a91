"""`stitcher pause`: stops new jobs from starting; running jobs continue, new ones are queued."""

from argparse import ArgumentParser, Namespace

from shared import ids
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.plain import plain


def arguments(parser: ArgumentParser) -> None:
    """Add the reason."""
    parser.add_argument("--reason", metavar="TEXT", help="shown wherever the pause is shown")


def run(options: Namespace, terminal: Terminal) -> int:
    """Pause, and print the ids of the jobs that still run."""
    reply = api.pause(daemon_client(options), options.reason)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    pause = reply.value
    for job_id in pause.running:
        terminal.data(ids.short_id(job_id))
    reason = f" ({plain(pause.reason)})" if pause.reason else ""
    terminal.note(f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{reason}")
    terminal.note(f"{len(pause.running)} running, {pause.queued:,} queued; continue with: stitcher resume")
    return exits.OK
