"""`stitcher wait`: waits until a job has ended; the exit code tells its result."""

import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from shared import ids, units
from shared.models import RunnerJob, Status
from tui.cli import exits
from tui.cli.output import job_line
from tui.cli.parser import ID_HELP, daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import DaemonClient, DaemonUnreachable
from tui.client.stream import STREAM_TIMEOUT, open_stream

RESTART_TIMEOUT = 60.0  # seconds that the daemon may be unreachable
EXIT_CODES = {Status.COMPLETED: exits.OK, Status.FAILED: exits.FAILED, Status.CANCELLED: exits.REFUSED}
MAX_TIMEOUT = 100_000_000  # seconds


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the timeout."""
    parser.add_argument("job", metavar="JOB", help=ID_HELP)
    parser.add_argument("--timeout", metavar="TIME", type=_seconds, help="give up after 30s, 10m, 2h: exit code 124")
    parser.epilog = "exit code: 0 for completed, 1 for failed, 4 for cancelled"


def run(options: Namespace, terminal: Terminal) -> int:
    """Wait; exit 0 for COMPLETED, 1 for FAILED, 4 for CANCELLED, 124 after the timeout."""
    client = daemon_client(options)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    job = api.get_job(client, options.job).value
    lost_at: float | None = None
    while job.status not in EXIT_CODES:
        remaining = STREAM_TIMEOUT if deadline is None else min(STREAM_TIMEOUT, deadline - time.monotonic())
        if remaining <= 0:
            terminal.note(f"stitcher: job {ids.short_id(job.id)} is still {job.status.lower()}")
            return exits.TIMED_OUT
        try:
            job = _wait_for_change(client, job, remaining)
            lost_at = None
        except DaemonUnreachable as error:
            if lost_at is None:
                lost_at = time.monotonic()
                terminal.note(f"stitcher: {error}; waiting {RESTART_TIMEOUT:g} s for it to come back")
            elif time.monotonic() - lost_at > RESTART_TIMEOUT:
                raise
    if options.json:
        terminal.document(api.get_job(client, job.id).raw)
    else:
        terminal.data(job_line(job))
    return EXIT_CODES[job.status]


def _wait_for_change(client: DaemonClient, job: RunnerJob, timeout: float) -> RunnerJob:
    """Return the job after its next event, or after `timeout` seconds without one."""
    try:
        with open_stream(client, None, job.id, timeout) as stream:
            batches = stream.batches()
            next(batches, None)  # the cursor: no later event is missed, so a job that has ended by now is seen here
            job = api.get_job(client, job.id).value
            if job.status not in EXIT_CODES:
                next(batches, None)
    except DaemonUnreachable:
        time.sleep(min(timeout, 0.5))  # either the daemon restarts or there was no event; the next request tells
    return api.get_job(client, job.id).value


def _seconds(text: str) -> float:
    """Return the seconds of a duration like `10m`; a bare number is seconds."""
    try:
        seconds = units.parse_duration(f"{text}s" if text.isdecimal() else text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error
    if seconds > MAX_TIMEOUT:
        raise ArgumentTypeError(f"{text!r} is too long")
    return seconds
