"""A verb over several jobs, named or selected by a filter: confirms, acts, reports, and combines the exit codes."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection, Sequence

import msgspec

from shared import ids
from shared.api import BulkItem, BulkResult
from shared.models import RunnerJob, Status
from tui.cli import exits
from tui.cli.filters import expand_filter, report_filter_error
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.client.http import ApiError, DaemonClient
from tui.client.replies import Reply
from tui.client.views import ViewError
from tui.text.jobs import counted, job_state, location, status_style
from tui.text.plain import plain

BULK_TIMEOUT = 600.0  # seconds: the daemon changes many jobs a few at a time
LISTED_JOBS = 10  # ids in one line

Act = Callable[[DaemonClient, str], Reply[RunnerJob]]


class BulkOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """The result for one job, in the shape of the API's bulk result; `detail` says why it was not done."""

    id: str
    ok: bool
    status: Status | None
    code: str | None = None
    detail: str | None = None


def add_job_arguments(parser: ArgumentParser) -> None:
    """Add the arguments that select jobs, and --yes and --dry-run."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("jobs", metavar="JOB", nargs="*", default=[], help="ids, or their last 6 or more characters")
    which.add_argument("--filter", metavar="FILTER", help="all jobs that match, such as `state:failed age:<2h`")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask for confirmation")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")


def run_bulk(options: Namespace, terminal: Terminal, verb: str, act: Act, allowed: Collection[Status]) -> int:
    """Call `act` for each selected job, or with --dry-run check whether its status is `allowed`.

    With --filter, the daemon does `verb` to all jobs that match. Returns the exit code.
    """
    if options.filter is not None:
        return _run_filter(options, terminal, verb)
    jobs = list(dict.fromkeys(options.jobs))
    client = daemon_client(options)
    if len(jobs) > 1 and not options.yes and not options.dry_run:
        if not terminal.interactive:
            terminal.note(f"stitcher: to {verb} {counted(len(jobs), 'job')} without a terminal needs --yes")
            return exits.USAGE
        if not terminal.ask(f"{verb} {counted(len(jobs), 'job')}?"):
            terminal.note("nothing was changed")
            return exits.FAILED
    outcomes, codes = [], []
    for job_id in jobs:
        outcome, code, line = _run_one(client, job_id, verb, act, allowed, dry_run=options.dry_run)
        outcomes.append(outcome)
        codes.append(code)
        if not options.json:
            (terminal.data if outcome.ok else terminal.note)(line)
    if options.json:
        terminal.document(msgspec.json.encode({"matched": len(outcomes), "items": outcomes}))
    return exits.combine(codes)


def _run_one(
    client: DaemonClient, job_id: str, verb: str, act: Act, allowed: Collection[Status], *, dry_run: bool
) -> tuple[BulkOutcome, int, str]:
    """Return the outcome for one job, its exit code, and the line that reports it."""
    try:
        job = (api.get_job if dry_run else act)(client, job_id).value
    except ApiError as error:
        problem = error.problem
        outcome = BulkOutcome(job_id, False, None, problem.code, problem.detail)
        return outcome, exits.from_status(problem.status), f"{plain(job_id)}  {error}"
    state = job_state(job)
    name = f"{ids.short_id(job.id)}  {plain(job.type)} on {location(job.repository, job.thread)}"
    if not dry_run:
        line = f"{ids.short_id(job.id)}  {state.glyph} {state.word}"
        return BulkOutcome(job.id, True, job.status), exits.OK, line
    if job.status in allowed:
        return BulkOutcome(job.id, True, job.status), exits.OK, f"would {verb} {name}"
    outcome = BulkOutcome(job.id, False, job.status, "conflict")
    return outcome, exits.FAILED, f"cannot {verb} {name}: it is {state.word}"


def _run_filter(options: Namespace, terminal: Terminal, verb: str) -> int:
    """Do `verb` to every job that matches `--filter`, or with --dry-run list them; returns the exit code."""
    client = daemon_client(options).with_timeout(BULK_TIMEOUT)
    try:
        options.filter = expand_filter(options.filter, options)
        if not (options.yes or options.dry_run):
            declined = _confirm(options.filter, client, terminal, verb)
            if declined is not None:
                return declined
        reply = api.change_jobs(client, verb, options.filter, dry_run=options.dry_run)
    except ViewError as error:
        terminal.note(f"stitcher: {error}")
        return exits.USAGE
    except ApiError as error:
        if report_filter_error(error, options.filter, terminal):
            return exits.USAGE
        raise
    result = reply.value
    if options.json:
        terminal.document(reply.raw)
    else:
        _print_result(result, terminal, verb, dry_run=options.dry_run)
    return exits.combine([exits.OK if item.ok else exits.FAILED for item in result.items]) if result.items else exits.OK


def _confirm(text: str, client: DaemonClient, terminal: Terminal, verb: str) -> int | None:
    """Ask whether to change the jobs that match; returns the exit code if they must not be changed."""
    if not terminal.interactive:
        terminal.note(f"stitcher: to {verb} what matches a filter without a terminal needs --yes")
        return exits.USAGE
    preview = api.change_jobs(client, verb, text, dry_run=True).value
    possible = [item for item in preview.items if item.ok]
    impossible = tuple(item for item in preview.items if not item.ok)
    _print_result(BulkResult(preview.matched, impossible), terminal, verb, dry_run=True)
    if not possible:
        return exits.FAILED if preview.items else exits.OK
    if terminal.ask(f"{verb} {counted(len(possible), 'job')}?"):
        return None
    terminal.note("nothing was changed")
    return exits.FAILED


def _print_result(result: BulkResult, terminal: Terminal, verb: str, *, dry_run: bool) -> None:
    done = [item for item in result.items if item.ok]
    if not result.matched:
        terminal.note("no job matches the filter; try it with: stitcher ls FILTER")
    if done and dry_run:
        terminal.data(f"would {verb} {counted(len(done), 'job')}: {_short_ids(done)}")
    elif done:
        for item in done:
            state = status_style(item.status, cancelling=verb == "cancel")
            terminal.data(f"{ids.short_id(item.id)}  {state.glyph} {state.word}")
    for reason, items in _by_reason(result.items).items():
        terminal.note(f"cannot {verb} {counted(len(items), 'job')}, {reason}: {_short_ids(items)}")


def _by_reason(items: Sequence[BulkItem]) -> dict[str, list[BulkItem]]:
    """Group the items that failed by the reason to show: their state where that is the reason, else the code."""
    reasons: dict[str, list[BulkItem]] = {}
    for item in items:
        if not item.ok:
            by_state = item.code in {"not_cancellable", "not_retryable"}
            reason = status_style(item.status).word if by_state else plain(str(item.code))
            reasons.setdefault(reason, []).append(item)
    return reasons


def _short_ids(items: Sequence[BulkItem]) -> str:
    names = [plain(ids.short_id(item.id)) for item in items[:LISTED_JOBS]]
    more = [f"and {len(items) - LISTED_JOBS:,} more"] if len(items) > LISTED_JOBS else []
    return ", ".join(names + more)
