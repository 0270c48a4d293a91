"""`stitcher ls`: lists jobs, newest first, a line each."""

import time
from argparse import ArgumentParser, Namespace

from shared import ids
from shared.models import RunnerJob
from tui.cli import exits
from tui.cli.filters import expand_filter, report_filter_error
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, DaemonClient
from tui.client.stream import follow_events
from tui.client.views import ViewError
from tui.text.jobs import DASH, cost, elapsed, job_state, latest, location
from tui.text.links import thread_url
from tui.text.plain import plain
from tui.text.table import align_columns, join_cells
from tui.text.times import age, milliseconds

_STATE, _THREAD, _DETAIL, _TIME, _COST, _AGE = 1, 3, 4, 6, 7, 8  # columns of a row
WATCH_PAUSE = 0.5  # seconds between two pages of --watch
_QUERY_NAMES = {"status": "status", "type": "type", "repo": "repository", "agent": "agentTaskId"}


def arguments(parser: ArgumentParser) -> None:
    """Add the filters and the page."""
    parser.add_argument(
        "filter",
        metavar="FILTER",
        nargs="*",
        help="terms that must all match: state:failed repo:octo-org/* -gate:lint 'age:<2h' @view",
    )
    parser.add_argument(
        "--status", metavar="STATUS", action="append", help="pending, queued, running, completed …; may repeat"
    )
    parser.add_argument("--type", metavar="TYPE", action="append", help="a job type; may repeat")
    parser.add_argument("--repo", metavar="OWNER/NAME", help="the repository that the job works on")
    parser.add_argument("--agent", metavar="TASK", help="the agent task that the job belongs to")
    parser.add_argument("--limit", metavar="N", type=int, help="1 to 500 (default 100)")
    parser.add_argument("--watch", action="store_true", help="print the page again after every change, until ctrl-c")
    parser.add_argument("--before", metavar="JOB", help="only jobs older than this one")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print one page of jobs; with --watch print it again after every change, until interrupted."""
    client = daemon_client(options)
    try:
        options.filter = [expand_filter(word, options) for word in options.filter]
        cursor = _print_page(client, options, terminal)
    except ViewError as error:
        terminal.note(f"stitcher: {error}")
        return exits.USAGE
    except ApiError as error:
        if report_filter_error(error, " ".join(options.filter), terminal):
            return exits.USAGE
        raise
    if not options.watch:
        return exits.OK

    def on_lost(reason: str, pause: float) -> None:
        terminal.note(f"stitcher: {reason}; trying again in {pause:g} s")

    for _ in follow_events(client, cursor, None, on_lost):
        if not options.json:
            terminal.clear()
        _print_page(client, options, terminal)
        time.sleep(WATCH_PAUSE)  # events that arrive meanwhile cause one more page, not one each
    return exits.OK


def _print_page(client: DaemonClient, options: Namespace, terminal: Terminal) -> int:
    """Print one page and return its event cursor."""
    query = _query(options)
    reply = api.list_jobs(client, query, limit=options.limit, before=options.before)
    page = reply.value
    if options.json:
        terminal.document(reply.raw)
    else:
        for line in _lines(page.items, terminal):
            terminal.data(line)
    if not page.items:
        terminal.note(_no_jobs(filtered=bool(query), paged=options.before is not None))
    elif not options.json:
        terminal.note(" · ".join(f"{number:,} {plain(status)}" for status, number in page.counts.items() if number))
    if page.next:
        terminal.note(f"there are more: add --before {plain(page.next)}")
    return page.cursor


def _lines(jobs: tuple[RunnerJob, ...], terminal: Terminal) -> list[str]:
    if not jobs:
        return []
    now = ids.now_ms()
    rows = [_row(job, now) for job in jobs]
    shown = [at for at in range(len(rows[0])) if at != _COST or any(cells[at] != DASH for cells in rows)]
    table = align_columns(
        [[cells[at] for at in shown] for cells in rows],
        right={shown.index(at) for at in (_TIME, _COST, _AGE) if at in shown},
        bends=_DETAIL,
        columns=terminal.columns,
    )
    for job, cells in zip(jobs, table, strict=True):
        cells[_STATE] = terminal.paint(cells[_STATE], job_state(job).colour)
        thread = cells[_THREAD].rstrip()
        cells[_THREAD] = terminal.link(thread, thread_url(job)) + cells[_THREAD][len(thread) :]
    return [join_cells(cells) for cells in table]


def _row(job: RunnerJob, now: int) -> list[str]:
    """Return the cells of a job's line, at `now` in milliseconds."""
    state = job_state(job)
    return [
        ids.short_id(job.id),
        f"{state.glyph} {state.word}",
        plain(job.type),
        location(job.repository, job.thread),
        latest(job, now),
        f"{job.tries.used}/{job.tries.max}",
        elapsed(job, now),
        cost(job),
        age(now - milliseconds(job.created_at)),
    ]


def _query(options: Namespace) -> list[tuple[str, str]]:
    pairs = [("q", " ".join(options.filter))] if options.filter else []
    for option, name in _QUERY_NAMES.items():
        given = getattr(options, option)
        pairs += [(name, value) for value in (given if isinstance(given, list) else [given]) if value is not None]
    return pairs


def _no_jobs(*, filtered: bool, paged: bool) -> str:
    if paged:
        return "no job is older than that one"
    if filtered:
        return "no job matches; all of them: stitcher ls"
    return "no jobs yet; start one with `stitcher dispatch TYPE`, or see an example with `stitcher demo`"
