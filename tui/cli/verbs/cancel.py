"""`stitcher cancel`: stop jobs, the waiting as well as the running."""

from argparse import ArgumentParser, Namespace

from shared.models import OPEN_STATUSES
from tui.cli import bulk, exits
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient, job_path


def arguments(parser: ArgumentParser) -> None:
    """Add the jobs and the reason."""
    bulk.arguments(parser)
    parser.add_argument("--reason", metavar="TEXT", help="kept with the job")


def run(options: Namespace, terminal: Terminal) -> int:
    """Cancel each job; a running one is `cancelling` until its processes are gone."""
    if options.reason is not None and options.filter is not None:
        terminal.note("stitcher: --reason goes with jobs, not with --filter")
        return exits.USAGE
    body = {"reason": options.reason} if options.reason is not None else {}

    def cancel(daemon: DaemonClient, job_id: str) -> bytes:
        return daemon.post(f"{job_path(job_id)}/cancel", body)

    return bulk.run_bulk(options, terminal, "cancel", cancel, OPEN_STATUSES)
