"""`stitcher retry`: run failed or cancelled jobs again, under their first decision."""

from argparse import Namespace

from shared.models import Status
from tui import several
from tui.client import Daemon, job_path
from tui.several import arguments
from tui.terminal import Terminal

__all__ = ["arguments", "run"]


def run(options: Namespace, terminal: Terminal) -> int:
    """Retry each job."""

    def retry(daemon: Daemon, job_id: str) -> bytes:
        return daemon.post(f"{job_path(job_id)}/retry", {})

    return several.run(options, terminal, "retry", retry, (Status.FAILED, Status.CANCELLED))
