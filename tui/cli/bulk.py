"""One verb over every job that passes a filter, and where a filter cannot be read."""

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
from tui.client.http import ApiError, DaemonClient, decode, job_path
from tui.client.views import ViewError
from tui.text.jobs import counted, job_state, location, status_style
from tui.text.plain import plain

# merged from tui.several: One verb over several jobs: ask first, do each, tell each, and add up the exit
# code.

ROUTE = "/runner-jobs/bulk"
PATIENCE = 600.0  # seconds: many jobs are changed a few at a time
NAMED = 10  # jobs that one line names


def run_filter(options: Namespace, terminal: Terminal, verb: str) -> int:
    """Do `verb` to every job that passes `--filter`, or with --dry-run say to which; returns the exit code."""
    daemon = DaemonClient(daemon_client(options).path, PATIENCE)
    try:
        options.filter = expand_filter(options.filter, options)
        if not (options.yes or options.dry_run):
            refused = _confirm(options.filter, daemon, terminal, verb)
            if refused is not None:
                return refused
        document = _request_bulk(daemon, verb, options.filter, dry_run=options.dry_run)
    except ViewError as said:
        terminal.note(f"stitcher: {said}")
        return exits.USAGE
    except ApiError as refused:
        if report_filter_error(refused, options.filter, terminal):
            return exits.USAGE
        raise
    result = decode(document, BulkResult)
    if options.json:
        terminal.document(document)
    else:
        _print_result(result, terminal, verb, dry_run=options.dry_run)
    return exits.combine([exits.OK if item.ok else exits.FAILED for item in result.items]) if result.items else exits.OK


def _request_bulk(daemon: DaemonClient, verb: str, text: str, *, dry_run: bool) -> bytes:
    return daemon.post(ROUTE, {"action": verb, "q": text, "dryRun": dry_run})


def _confirm(text: str, daemon: DaemonClient, terminal: Terminal, verb: str) -> int | None:
    """Ask whether the jobs are meant; returns the exit code where they are not to be touched."""
    if not terminal.interactive:
        terminal.note(f"stitcher: to {verb} what passes a filter without a terminal needs --yes")
        return exits.USAGE
    would = decode(_request_bulk(daemon, verb, text, dry_run=True), BulkResult)
    able = [item for item in would.items if item.ok]
    _print_result(
        BulkResult(would.matched, tuple(item for item in would.items if not item.ok)), terminal, verb, dry_run=True
    )
    if not able:
        return exits.FAILED if would.items else exits.OK
    if terminal.ask(f"{verb} {counted(len(able), 'job')}?"):
        return None
    terminal.note("nothing was changed")
    return exits.FAILED


def _print_result(result: BulkResult, terminal: Terminal, verb: str, *, dry_run: bool) -> None:
    done = [item for item in result.items if item.ok]
    if not result.matched:
        terminal.note("no job passes the filter; look with: stitcher ls FILTER")
    if done and dry_run:
        terminal.data(f"would {verb} {counted(len(done), 'job')}: {_short_ids(done)}")
    elif done:
        for item in done:
            now = status_style(item.status, cancelling=verb == "cancel")
            terminal.data(f"{ids.short_id(item.id)}  {now.glyph} {now.word}")
    for why, items in _by_reason(result.items).items():
        terminal.note(f"cannot {verb} {counted(len(items), 'job')}, {why}: {_short_ids(items)}")


def _by_reason(items: Sequence[BulkItem]) -> dict[str, list[BulkItem]]:
    reasons: dict[str, list[BulkItem]] = {}
    for item in items:
        if not item.ok:
            simple = item.code in {"not_cancellable", "not_retryable"}
            reasons.setdefault(status_style(item.status).word if simple else plain(str(item.code)), []).append(item)
    return reasons


def _short_ids(items: Sequence[BulkItem]) -> str:
    names = [plain(ids.short_id(item.id)) for item in items[:NAMED]]
    more = [f"and {len(items) - NAMED:,} more"] if len(items) > NAMED else []
    return ", ".join(names + more)


class BulkOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one job, as the API's own bulk answer says it; `detail` is why it was not done."""

    id: str
    ok: bool
    status: Status | None
    code: str | None = None
    detail: str | None = None


def arguments(parser: ArgumentParser) -> None:
    """Add the jobs, and how to be asked."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("jobs", metavar="JOB", nargs="*", default=[], help="ids, or their ends from 6 characters on")
    which.add_argument("--filter", metavar="FILTER", help="instead of ids: all that pass, as `state:failed age:<2h`")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")


def run_bulk(
    options: Namespace,
    terminal: Terminal,
    verb: str,
    act: Callable[[DaemonClient, str], bytes],
    possible: Collection[Status],
) -> int:
    """Do `act` for each job, or with --dry-run look whether its status is in `possible`; returns the exit code.

    With --filter, the daemon does `verb` to all that pass.
    """
    if options.filter is not None:
        return run_filter(options, terminal, verb)
    jobs = list(dict.fromkeys(options.jobs))
    daemon = daemon_client(options)
    if len(jobs) > 1 and not options.yes and not options.dry_run:
        if not terminal.interactive:
            terminal.note(f"stitcher: to {verb} {counted(len(jobs), 'job')} without a terminal needs --yes")
            return exits.USAGE
        if not terminal.ask(f"{verb} {counted(len(jobs), 'job')}?"):
            terminal.note("nothing was changed")
            return exits.FAILED
    outcomes, codes = [], []
    for job_id in jobs:
        try:
            job = decode(daemon.get(job_path(job_id)) if options.dry_run else act(daemon, job_id), RunnerJob)
        except ApiError as refused:
            problem = refused.problem
            outcome = BulkOutcome(job_id, False, None, problem.code, problem.detail)
            code, line = exits.from_status(problem.status), f"{plain(job_id)}  {refused}"
        else:
            fits = not options.dry_run or job.status in possible
            outcome = BulkOutcome(job.id, fits, job.status, None if fits else "conflict")
            code, line = (
                (exits.OK if fits else exits.FAILED),
                _result_line(job, verb, fits=fits, dry_run=options.dry_run),
            )
        outcomes.append(outcome)
        codes.append(code)
        if not options.json:
            (terminal.data if outcome.ok else terminal.note)(line)
    if options.json:
        terminal.document(msgspec.json.encode({"matched": len(outcomes), "items": outcomes}))
    return exits.combine(codes)


def _result_line(job: RunnerJob, verb: str, *, fits: bool, dry_run: bool) -> str:
    state = job_state(job)
    name = f"{ids.short_id(job.id)}  {plain(job.type)} on {location(job.repository, job.thread)}"
    if not dry_run:
        return f"{ids.short_id(job.id)}  {state.glyph} {state.word}"
    return f"would {verb} {name}" if fits else f"cannot {verb} {name}: it is {state.word}"
