"""`stitcher deny`: never let a job run that waits for an approval."""

from argparse import ArgumentParser, Namespace

from tui.cli import exits, output
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import job_path


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the reason."""
    parser.add_argument("job", metavar="JOB", help="its id, or the end of it from 6 characters on; `why` says what of")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="kept with the job")


def run(options: Namespace, terminal: Terminal) -> int:
    """Deny one job, and say how it stands now."""
    document = daemon_client(options).post(f"{job_path(options.job)}/deny", {"reason": options.reason})
    output.print_job(document, options, terminal)
    return exits.OK
