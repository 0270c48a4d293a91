"""`stitcher tail`: prints events, a line each; with -f as they happen."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import msgspec

from shared import ids
from shared.models import OPEN_STATUSES, JobEvent
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import DaemonClient
from tui.client.stream import FINAL_EVENTS, follow_events, open_stream
from tui.text.jobs import DASH
from tui.text.plain import plain, truncate
from tui.text.times import time_of_day

PAST_EVENTS = 20  # printed first if no job is named


def arguments(parser: ArgumentParser) -> None:
    """Add the job and --follow."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="only events of this job: its id, or its last characters")
    parser.add_argument("-f", "--follow", action="store_true", help="continue as events happen; with JOB until it ends")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print events, oldest first; exit 0 when no more can come."""
    client = daemon_client(options)
    job = api.get_job(client, options.job).value if options.job else None
    past = (reply.value for reply in api.iter_job_events(client, job.id)) if job else _last_events(client)
    cursor, ended = 0, job is not None and job.status not in OPEN_STATUSES
    for event in past:
        cursor = event.id
        # The job may have ended after it was read, and then no other final event follows.
        ended = event.type in FINAL_EVENTS if event.type.startswith("job.") else ended
        _print(event, terminal, options)
    if not options.follow or (job and ended):
        return exits.OK

    def on_lost(reason: str, pause: float) -> None:
        terminal.note(f"stitcher: {reason}; trying again in {pause:g} s")

    for batch in follow_events(client, cursor or _newest(client), job.id if job else None, on_lost):
        for event in batch:
            _print(event, terminal, options)
            if job and event.type in FINAL_EVENTS:
                return exits.OK
    return exits.OK


def _last_events(client: DaemonClient) -> Iterator[JobEvent]:
    newest = _newest(client)
    if not newest:
        return
    with open_stream(client, max(newest - PAST_EVENTS, 0)) as stream:
        for batch in stream.batches():
            yield from batch
            if (stream.cursor or 0) >= newest:
                return


def _newest(client: DaemonClient) -> int:
    return api.list_jobs(client, limit=1).value.cursor


def _print(event: JobEvent, terminal: Terminal, options: Namespace) -> None:
    if options.json:
        terminal.document(msgspec.json.encode(event))
        return
    job = ids.short_id(event.job_id) if event.job_id else DASH
    payload = " ".join(
        f"{key}={' '.join(str(value).split())}" for key, value in event.payload.items() if value is not None
    )
    when = terminal.paint(time_of_day(event.timestamp), "dim")
    terminal.data(f"{when}  {job:8}  {plain(event.type):16}  {truncate(plain(payload), 160)}".rstrip())
