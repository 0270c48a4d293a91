"""Actions on jobs and on the daemon: each asks for confirmation, sends its request and reports the result."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from msgspec import UNSET, Struct

from shared import ids
from shared.api import BulkResult
from shared.models import OPEN_STATUSES, CheckOutcome, RunnerJob, Status
from tui.client import api
from tui.client.http import DaemonClient
from tui.client.replies import Reply
from tui.screens.dialogs import ConfirmDialog, InputDialog, ReportDialog
from tui.screens.session import DAEMON_ERRORS, Session
from tui.text.jobs import approval_wait, counted, job_state, location, status_style
from tui.text.plain import plain
from tui.widgets.paint import StyledLine

LISTED_JOBS = 8  # jobs that a question lists one by one
PROMPT_LINES = 8  # lines of a prompt that are shown
BULK_TIMEOUT = 600.0  # seconds; the daemon changes the jobs of a bulk action a few at a time
EXPORT_MAX = 100_000  # jobs of one export


class JobAction(Struct, frozen=True):
    """Something that can be done to a job in one of the `allowed` states; `effect` says what then happens."""

    verb: str
    request: Callable[..., Reply[RunnerJob]]  # takes the client, the job's id and, if there is one, a reason
    allowed: tuple[Status, ...]
    effect: str
    every: str = ""  # the filter for every job it can be done to; empty if it is not done to all that match a filter


CANCEL = JobAction(
    "cancel",
    api.cancel_job,
    OPEN_STATUSES,
    "Running jobs are stopped with all their processes; waiting ones never start.",
    every="is:open",
)
RETRY = JobAction(
    "retry",
    api.retry_job,
    (Status.FAILED, Status.CANCELLED),
    "A new attempt starts from a fresh checkout, under the first decision.",
    every="state:failed,cancelled",
)
APPROVE = JobAction(
    "approve",
    api.approve_job,
    (Status.PENDING,),
    "It is queued, and runs what was decided: w shows what, and who asked.",
)
DENY = JobAction("deny", api.deny_job, (Status.PENDING,), "It never runs; the reason is kept with the job.")
JOB_ACTIONS = {action.verb: action for action in (CANCEL, RETRY, APPROVE, DENY)}


def applicable(action: JobAction, jobs: Sequence[RunnerJob]) -> list[RunnerJob]:
    """Return the jobs that an action can be done to; a job that is being cancelled cannot be cancelled again."""
    return [job for job in jobs if job.status in action.allowed and not (action is CANCEL and job.cancel_requested)]


async def run_action(session: Session, action: JobAction, jobs: Sequence[RunnerJob]) -> None:
    """Do an action to each of the jobs it applies to, after confirmation; their events report what became of them."""
    jobs = applicable(action, jobs)
    if not jobs:
        return
    title, lines = _question(action, jobs)
    reason: str | None = None
    if action in (APPROVE, DENY):
        try:
            facts = await _approval_facts(session, jobs)
        except DAEMON_ERRORS as error:
            session.notify(str(error), error=True)
            return
        reason = await session.ask(InputDialog(title, [*facts, *lines], required=action is DENY))
        if reason is None:
            return
    elif not await session.ask(ConfirmDialog(title, lines)):
        return
    session.acted_on.update(job.id for job in jobs)
    for job in jobs:
        try:
            await session.call(action.request, job.id, *([reason] if reason else []))
        except DAEMON_ERRORS as error:
            session.notify(str(error), error=True)


async def run_bulk_action(session: Session, action: JobAction, q: str) -> None:
    """Do an action to every job that matches a filter, after confirmation; the daemon decides which jobs those are.

    Without a filter these are all that the action can be done to: the daemon takes no empty one.
    """
    q = q or action.every
    try:
        found = await session.call(_send_bulk, action, q, dry_run=True)
        if not any(item.ok for item in found.items):
            session.notify(f"there is nothing to {action.verb}")
        elif await session.ask(ConfirmDialog(*_bulk_question(action, q, found))):
            done = await session.call(_send_bulk, action, q, dry_run=False)
            session.notify(f"{action.verb}: {counted(sum(item.ok for item in done.items), 'job')}")
            if not all(item.ok for item in done.items):
                title = f"{action.verb.capitalize()}: result for each job"
                await session.ask(ReportDialog(title, _bulk_result(action, done)))
    except DAEMON_ERRORS as error:
        session.notify(str(error), error=True)


async def toggle_pause(session: Session) -> None:
    """Pause the daemon or resume it, after confirmation."""
    pulse = session.status.pulse
    if pulse is None:
        return
    if pulse.paused:
        why = f" ({pulse.reason})" if pulse.reason else ""
        text = plain(f"Paused by {pulse.paused_by or 'somebody'}{why}; {counted(pulse.queued, 'job')} in the queue.")
        if not await session.ask(ConfirmDialog("Let jobs start again?", [[(text, "")]])):
            return
        request = session.call(api.resume)
    else:
        text = "Running jobs continue; new jobs are stored, and wait until somebody resumes."
        reason = await session.ask(InputDialog("Let no new jobs start?", [[(text, "")]]))
        if reason is None:
            return
        request = session.call(api.pause, reason or None)
    try:
        state = (await request).value
    except DAEMON_ERRORS as error:
        session.notify(str(error), error=True)
        return
    load = f"{len(state.running):,} running, {state.queued:,} queued"
    session.notify(f"paused: {load}" if state.paused else f"jobs start again: {load}")
    session.refresh_status()


async def export_jobs(session: Session, query: tuple[tuple[str, str], ...]) -> None:
    """Write the jobs of a list to a new file in the current directory, as lines of JSON."""
    path = Path(f"stitcher-jobs-{ids.format_timestamp(session.clock())[:19].replace(':', '')}.jsonl")
    try:
        number = await session.call(_write_jobs, query, path)
    except (OSError, *DAEMON_ERRORS) as error:
        session.notify(str(error), error=True)
    else:
        session.notify(f"{counted(number, 'job')} in {path}")


def _question(action: JobAction, jobs: Sequence[RunnerJob]) -> tuple[str, list[StyledLine]]:
    """Return the title and the lines of the question before an action."""
    lines: list[StyledLine] = []
    for job in jobs[:LISTED_JOBS]:
        state = job_state(job)
        lines.append(
            [
                (f"{plain(ids.short_id(job.id))}  ", ""),
                (f"{state.glyph} {state.word:10}  ", state.colour),
                (f"{plain(job.type)} on {location(job.repository, job.thread)}", ""),
            ]
        )
    if len(jobs) > LISTED_JOBS:
        lines.append([(f"and {len(jobs) - LISTED_JOBS:,} more", "dim")])
    lines += [[], [(action.effect, "dim")]]
    return f"{action.verb.capitalize()} {counted(len(jobs), 'job')}?", lines


async def _approval_facts(session: Session, jobs: Sequence[RunnerJob]) -> list[StyledLine]:
    """Return what happens if a job is approved: who asked, what runs, why it waits. Nothing if there are several.

    Raises one of DAEMON_ERRORS.
    """
    if len(jobs) > 1:
        return []
    job = (await session.call(api.get_job, jobs[0].id)).value
    decision = job.decision or None
    facts = [
        ("asked", f"by {job.actor} on {location(job.repository, job.thread)}", ""),
        ("needs", approval_wait(job, session.clock()), "yellow"),
        ("then", _next_step(job, decision.sandbox if decision else None), ""),
    ]
    for check in decision.checks if decision else ():
        if check.outcome is CheckOutcome.ASK:
            because = f" ({check.because})" if check.because else ""
            facts.append(("because", f"{check.id}: {check.seen or ''}{because}", ""))
    prompt = ("" if job.prompt is UNSET else job.prompt.strip()).splitlines()
    facts += [("" if at else "prompt", text, "") for at, text in enumerate(prompt[:PROMPT_LINES])]
    if len(prompt) > PROMPT_LINES:
        facts.append(("", "…", "dim"))
    return [*([(f"{name:9}", "dim"), (plain(text), style)] for name, text, style in facts), []]


def _next_step(job: RunnerJob, sandbox: str | None) -> str:
    """Return what an approval leads to: a run or, if the job ran already, publishing what passed."""
    if job.tries.used:
        return "what passed the gates is published; enter, then 3 shows it"
    return f"{job.profile} → {job.executor}, up to {job.tries.max} tries, sandbox {sandbox or 'none'}"


def _bulk_question(action: JobAction, q: str, found: BulkResult) -> tuple[str, list[StyledLine]]:
    """Return the title and the lines of the question before an action on every job that matches a filter."""
    fit = sum(item.ok for item in found.items)
    lines: list[StyledLine] = [[("every job that matches  ", "dim"), (plain(q), "accent")]]
    if fit < found.matched:
        lines.append([(f"{counted(found.matched - fit, 'job')} more match, and stay as they are", "dim")])
    return f"{action.verb.capitalize()} {counted(fit, 'job')}?", [*lines, [], [(action.effect, "dim")]]


def _send_bulk(client: DaemonClient, action: JobAction, q: str, *, dry_run: bool) -> BulkResult:
    return api.change_jobs(client.with_timeout(BULK_TIMEOUT), action.verb, q, dry_run=dry_run).value


def _bulk_result(action: JobAction, result: BulkResult) -> list[StyledLine]:
    """Return a line for each job of a bulk action, those that were refused first."""
    lines: list[StyledLine] = []
    for item in sorted(result.items, key=lambda item: item.ok):
        state = status_style(item.status, cancelling=item.ok and action is CANCEL)
        why = "" if item.ok else f"  not done: {plain(str(item.code))}"
        lines.append(
            [(f"{plain(ids.short_id(item.id))}  ", ""), (f"{state.glyph} {state.word:10}", state.colour), (why, "red")]
        )
    return lines


def _write_jobs(client: DaemonClient, query: Iterable[tuple[str, str]], path: Path) -> int:
    """Write the jobs of a query to a new file, a line each, and return how many; raises OSError, DAEMON_ERRORS."""
    written = 0
    with path.open("xb") as file:
        for job in islice(api.iter_raw_jobs(client, query), EXPORT_MAX):
            file.write(job + b"\n")
            written += 1
    return written
