"""`stitcher wait`: until a job has ended; the exit code says how."""

import re
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from shared import ids
from shared.models import RunnerJob, Status
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient, DaemonUnreachable, decode, job_path
from tui.client.stream import STREAM_TIMEOUT, open_stream
from tui.text.jobs import job_state, location

RESTART = 60.0  # seconds that a daemon may be away
CODES = {Status.COMPLETED: exits.OK, Status.FAILED: exits.FAILED, Status.CANCELLED: exits.REFUSED}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the patience."""
    parser.add_argument("job", metavar="JOB", help="its id, or the end of it from 6 characters on")
    parser.add_argument("--timeout", metavar="TIME", type=_seconds, help="give up after 30s, 10m, 2h: exit code 124")
    parser.epilog = "exit code: 0 for completed, 1 for failed, 4 for cancelled"


def run(options: Namespace, terminal: Terminal) -> int:
    """Wait; exit 0 for COMPLETED, 1 for FAILED, 4 for CANCELLED, 124 when the time is over."""
    daemon = daemon_client(options)
    deadline = None if options.timeout is None else time.monotonic() + options.timeout
    job = decode(daemon.get(job_path(options.job)), RunnerJob)
    lost: float | None = None
    while job.status not in CODES:
        left = STREAM_TIMEOUT if deadline is None else min(STREAM_TIMEOUT, deadline - time.monotonic())
        if left <= 0:
            terminal.note(f"stitcher: job {ids.short_id(job.id)} is still {job.status.lower()}")
            return exits.TIMED_OUT
        try:
            job = _next(daemon, job, left)
            lost = None
        except DaemonUnreachable as why:
            if lost is None:
                lost = time.monotonic()
                terminal.note(f"stitcher: {why}; waiting {RESTART:g} s for it to come back")
            elif time.monotonic() - lost > RESTART:
                raise
    if options.json:
        terminal.document(daemon.get(job_path(job.id)))
    else:
        shown = job_state(job)
        terminal.data(f"{ids.short_id(job.id)}  {shown.glyph} {shown.word}  {location(job.repository, job.thread)}")
    return CODES[job.status]


def _next(daemon: DaemonClient, job: RunnerJob, patience: float) -> RunnerJob:
    """Return the job after its next event, or after `patience` seconds without one."""
    try:
        with open_stream(daemon, None, job.id, patience) as stream:
            batches = stream.batches()
            next(batches, None)  # the cursor: from here on nothing is missed, so now look whether it is over
            job = decode(daemon.get(job_path(job.id)), RunnerJob)
            if job.status not in CODES:
                next(batches, None)
    except DaemonUnreachable:
        time.sleep(min(patience, 0.5))  # a restart, or no event for so long: the next look tells which
    return decode(daemon.get(job_path(job.id)), RunnerJob)


def _seconds(text: str) -> float:
    number, unit = (text, "s") if text[-1:].isdecimal() else (text[:-1], text[-1:])
    if unit not in _UNITS or not re.fullmatch(r"[0-9]{1,8}", number):
        raise ArgumentTypeError(f"{text!r} is no time: write 30s, 10m or 2h")
    return int(number) * _UNITS[unit]
