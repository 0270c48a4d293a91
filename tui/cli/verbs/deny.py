"""`stitcher deny`: denies a job that waits for an approval."""

from argparse import ArgumentParser, Namespace

from tui.cli import exits
from tui.cli.output import print_job
from tui.cli.parser import ID_HELP, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the reason."""
    parser.add_argument("job", metavar="JOB", help=f"{ID_HELP}; `why` shows what is asked")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="kept with the job")


def run(options: Namespace, terminal: Terminal) -> int:
    """Deny one job and print its new state."""
    print_job(api.deny_job(daemon_client(options), options.job, options.reason), options, terminal)
    return exits.OK
