"""`stitcher tail`: events, a line each; with -f as they happen."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator

import msgspec

from shared import ids
from shared.api import EventPage, JobPage
from shared.models import OPEN_STATUSES, JobEvent, RunnerJob
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client.http import DaemonClient, decode, job_path
from tui.client.stream import FINAL_EVENTS, follow_events, open_stream
from tui.text.jobs import DASH
from tui.text.plain import plain, truncate
from tui.text.times import time_of_day

LAST = 20  # events of the past, where no job is named


def arguments(parser: ArgumentParser) -> None:
    """Add the job and the following."""
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job's: its id, or the end of it")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they happen; with JOB, until it ends")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print events, oldest first; exit 0 when there are no more to come."""
    daemon = daemon_client(options)
    job = decode(daemon.get(job_path(options.job)), RunnerJob) if options.job else None
    past = _past_of_job(daemon, job.id) if job else _past(daemon)
    cursor, over = 0, job is not None and job.status not in OPEN_STATUSES
    for event in past:
        cursor = event.id
        # It may have ended since we asked for it, and then no other end comes.
        over = event.type in FINAL_EVENTS if event.type.startswith("job.") else over
        _print(event, terminal, options)
    if not options.follow or (job and over):
        return exits.OK

    def lost(why: str, pause: float) -> None:
        terminal.note(f"stitcher: {why}; trying again in {pause:g} s")

    for batch in follow_events(daemon, cursor or _newest(daemon), job.id if job else None, lost):
        for event in batch:
            _print(event, terminal, options)
            if job and event.type in FINAL_EVENTS:
                return exits.OK
    return exits.OK


def _past_of_job(daemon: DaemonClient, job_id: str) -> Iterator[JobEvent]:
    after: int | None = 0
    while after is not None:
        query = [("after", str(after)), ("limit", "500")]
        page = decode(daemon.get(f"{job_path(job_id)}/events", query), EventPage)
        yield from page.items
        after = page.next


def _past(daemon: DaemonClient) -> Iterator[JobEvent]:
    newest = _newest(daemon)
    if not newest:
        return
    with open_stream(daemon, max(newest - LAST, 0)) as stream:
        for batch in stream.batches():
            yield from batch
            if (stream.cursor or 0) >= newest:
                return


def _newest(daemon: DaemonClient) -> int:
    return decode(daemon.get("/runner-jobs", [("limit", "1")]), JobPage).cursor


def _print(event: JobEvent, terminal: Terminal, options: Namespace) -> None:
    if options.json:
        terminal.document(msgspec.json.encode(event))
        return
    subject = ids.short_id(event.job_id) if event.job_id else DASH
    said = " ".join(
        f"{key}={' '.join(str(value).split())}" for key, value in event.payload.items() if value is not None
    )
    when = terminal.paint(time_of_day(event.timestamp), "dim")
    terminal.data(f"{when}  {subject:8}  {plain(event.type):16}  {truncate(plain(said), 160)}".rstrip())
