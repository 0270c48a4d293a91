"""`stitcher retry`: runs failed or cancelled jobs again, under their first decision."""

from argparse import ArgumentParser, Namespace

from shared.models import Status
from tui.cli.bulk import add_job_arguments, run_bulk
from tui.cli.terminal import Terminal
from tui.client import api


def arguments(parser: ArgumentParser) -> None:
    """Add the jobs."""
    add_job_arguments(parser)


def run(options: Namespace, terminal: Terminal) -> int:
    """Retry each job."""
    return run_bulk(options, terminal, "retry", api.retry_job, (Status.FAILED, Status.CANCELLED))
