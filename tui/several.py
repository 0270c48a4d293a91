"""One verb over several jobs: ask first, do each, tell each, and add up the exit code."""

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Collection

import msgspec

from shared import ids
from shared.models import RunnerJob, Status
from tui import exits, filtered
from tui.client import Daemon, Refused, decode, job_path, reach
from tui.plain import plain
from tui.terminal import Terminal
from tui.wording import count, look, place


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
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


def run(
    options: Namespace,
    terminal: Terminal,
    verb: str,
    act: Callable[[Daemon, str], bytes],
    possible: Collection[Status],
) -> int:
    """Do `act` for each job, or with --dry-run look whether its status is in `possible`; returns the exit code.

    With --filter, the daemon does `verb` to all that pass.
    """
    if options.filter is not None:
        return filtered.run(options, terminal, verb)
    jobs = list(dict.fromkeys(options.jobs))
    daemon = reach(options)
    if len(jobs) > 1 and not options.yes and not options.dry_run:
        if not terminal.interactive:
            terminal.note(f"stitcher: to {verb} {count(len(jobs), 'job')} without a terminal needs --yes")
            return exits.USAGE
        if not terminal.ask(f"{verb} {count(len(jobs), 'job')}?"):
            terminal.note("nothing was changed")
            return exits.FAILED
    outcomes, codes = [], []
    for job_id in jobs:
        try:
            job = decode(daemon.get(job_path(job_id)) if options.dry_run else act(daemon, job_id), RunnerJob)
        except Refused as refused:
            problem = refused.problem
            outcome = Outcome(job_id, False, None, problem.code, problem.detail)
            code, line = exits.of_status(problem.status), f"{plain(job_id)}  {refused}"
        else:
            fits = not options.dry_run or job.status in possible
            outcome = Outcome(job.id, fits, job.status, None if fits else "conflict")
            code, line = (exits.OK if fits else exits.FAILED), _line(job, verb, fits=fits, dry_run=options.dry_run)
        outcomes.append(outcome)
        codes.append(code)
        if not options.json:
            (terminal.data if outcome.ok else terminal.note)(line)
    if options.json:
        terminal.document(msgspec.json.encode({"matched": len(outcomes), "items": outcomes}))
    return exits.of_many(codes)


def _line(job: RunnerJob, verb: str, *, fits: bool, dry_run: bool) -> str:
    state = look(job)
    name = f"{ids.short(job.id)}  {plain(job.type)} on {place(job.repository, job.thread)}"
    if not dry_run:
        return f"{ids.short(job.id)}  {state.glyph} {state.word}"
    return f"would {verb} {name}" if fits else f"cannot {verb} {name}: it is {state.word}"
