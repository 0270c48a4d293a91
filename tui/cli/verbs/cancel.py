"""`stitcher cancel`: cancels jobs, pending, queued or running."""

from argparse import ArgumentParser, Namespace

from shared.models import OPEN_STATUSES, RunnerJob
from tui.cli import exits
from tui.cli.bulk import add_job_arguments, run_bulk
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import DaemonClient
from tui.client.replies import Reply


def arguments(parser: ArgumentParser) -> None:
    """Add the jobs and the reason."""
    add_job_arguments(parser)
    parser.add_argument("--reason", metavar="TEXT", help="kept with the job")


def run(options: Namespace, terminal: Terminal) -> int:
    """Cancel each job; a running one is `cancelling` until its processes have ended."""
    if options.reason is not None and options.filter is not None:
        terminal.note("stitcher: --reason cannot be combined with --filter")
        return exits.USAGE

    def cancel(client: DaemonClient, job_id: str) -> Reply[RunnerJob]:
        return api.cancel_job(client, job_id, options.reason)

    return run_bulk(options, terminal, "cancel", cancel, OPEN_STATUSES)
