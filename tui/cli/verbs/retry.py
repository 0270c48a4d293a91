"""`stitcher retry`: run failed or cancelled jobs again, under their first decision."""

from argparse import Namespace

from shared.models import Status
from tui.cli import bulk
from tui.cli.bulk import arguments
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient, job_path

__all__ = ["arguments", "run"]


def run(options: Namespace, terminal: Terminal) -> int:
    """Retry each job."""

    def retry(daemon: DaemonClient, job_id: str) -> bytes:
        return daemon.post(f"{job_path(job_id)}/retry", {})

    return bulk.run_bulk(options, terminal, "retry", retry, (Status.FAILED, Status.CANCELLED))
