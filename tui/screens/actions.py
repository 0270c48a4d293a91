"""What is done from the screens: each asks first, is sent, and tells what came of it."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Struct

from shared import ids
from shared.api import BulkResult, PauseState
from shared.models import OPEN_STATUSES, CheckOutcome, RunnerJob, Status
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, NotUtf8, decode, job_path
from tui.screens import dialogs
from tui.screens.base import REFUSALS
from tui.screens.dialogs import ConfirmDialog, ReportDialog
from tui.text.jobs import counted, job_state, location, status_style
from tui.text.plain import plain
from tui.widgets.job_row import approval_wait
from tui.widgets.paint import StyledLine

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

# merged from tui.screens.steering: Cancel, retry, approve and deny from a screen: what may be asked for, how
# it is asked, and how it is sent.
# merged from tui.screens.exporting: The jobs of a list, taken out of the screen as lines of JSON.

PROMPT_LINES = 8  # lines of a prompt that are shown


async def approval_facts(app: "StitcherApp", jobs: Sequence[RunnerJob]) -> list[StyledLine]:
    """Return what would happen if it were let; of several jobs nothing but their names. Raises Refused."""
    if len(jobs) > 1:
        return []
    job = decode(await asyncio.to_thread(app.daemon.get, job_path(jobs[0].id)), RunnerJob)
    decision = job.decision or None
    facts = [
        ("asked", f"by {job.actor} on {location(job.repository, job.thread)}", ""),
        ("needs", approval_wait(job, app.clock()), "yellow"),
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
    """Return what comes next: a run, or where it ran already, publishing what passed."""
    if job.tries.used:
        return "what passed the gates is published; enter, then 3 shows it"
    return f"{job.profile} → {job.executor}, up to {job.tries.max} tries, sandbox {sandbox or 'none'}"


EXPORT_MAX = 100_000  # jobs of one export
_EXPORT_PAGE = 500


class _ExportPage(msgspec.Struct):
    items: list[msgspec.Raw]
    next: str | None


def write_jobs(daemon: DaemonClient, query: Iterable[tuple[str, str]], path: Path) -> int:
    """Write the jobs that a query means to a new file, a line each; returns how many. Raises OSError, Refused."""
    query = list(query)
    before: str | None = None
    written = 0
    with path.open("xb") as file:
        while written < EXPORT_MAX:
            paging = [("limit", str(_EXPORT_PAGE)), *([("before", before)] if before else [])]
            page = decode(daemon.get("/runner-jobs", [*query, *paging]), _ExportPage)
            file.writelines(bytes(item) + b"\n" for item in page.items)
            written += len(page.items)
            before = page.next
            if before is None:
                break
    return written


def bulk_result_lines(verb: str, result: BulkResult) -> list[StyledLine]:
    """Return a line for each job, those first that it was not done to."""
    lines: list[StyledLine] = []
    for item in sorted(result.items, key=lambda item: item.ok):
        now = status_style(item.status, cancelling=item.ok and verb == "cancel")
        why = "" if item.ok else f"  not done: {plain(str(item.code))}"
        lines.append(
            [(f"{plain(ids.short_id(item.id))}  ", ""), (f"{now.glyph} {now.word:10}", now.colour), (why, "red")]
        )
    return lines


LISTED_JOBS = 8  # jobs that a question names one by one
BULK_TIMEOUT = 600.0  # seconds for a command over many jobs: they are changed a few at a time


class JobAction(Struct, frozen=True):
    """Something that can be done to a job in one of these states, and what then happens."""

    verb: str
    possible: tuple[Status, ...]
    meaning: str
    in_bulk: bool = False  # whether it can be done to all that a filter means


CANCEL = JobAction(
    "cancel", OPEN_STATUSES, "What runs is ended with all its processes; what waits never starts.", in_bulk=True
)
RETRY = JobAction(
    "retry",
    (Status.FAILED, Status.CANCELLED),
    "A new attempt starts from a fresh checkout, under the first decision.",
    in_bulk=True,
)
APPROVE = JobAction(
    "approve", (Status.PENDING,), "It is queued, and runs what was decided: w shows what, and who asked."
)
DENY = JobAction("deny", (Status.PENDING,), "It never runs; the reason is kept with the job.")
JOB_ACTIONS = {act.verb: act for act in (CANCEL, RETRY, APPROVE, DENY)}


def applicable(act: JobAction, jobs: Sequence[RunnerJob]) -> list[RunnerJob]:
    """Return the jobs that it can be done to; one that is being cancelled needs no second cancel."""
    return [job for job in jobs if job.status in act.possible and not (act is CANCEL and job.cancel_requested)]


def action_question(act: JobAction, jobs: Sequence[RunnerJob]) -> tuple[str, list[StyledLine]]:
    """Return the title and the lines of the question."""
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
    lines += [[], [(act.meaning, "dim")]]
    return f"{act.verb.capitalize()} {counted(len(jobs), 'job')}?", lines


def bulk_question(act: JobAction, q: str, found: BulkResult) -> tuple[str, list[StyledLine]]:
    """Return the title and the lines of the question for every job that a filter means."""
    fit = sum(item.ok for item in found.items)
    lines: list[StyledLine] = [[("every job that fits  ", "dim"), (plain(q) or "anything", "accent")]]
    if fit < found.matched:
        lines.append([(f"{counted(found.matched - fit, 'job')} more fit, and stay as they are", "dim")])
    return f"{act.verb.capitalize()} {counted(fit, 'job')}?", [*lines, [], [(act.meaning, "dim")]]


def send_bulk(daemon: DaemonClient, act: JobAction, q: str, *, dry_run: bool) -> BulkResult:
    """Do it to every job that a filter means, or say to which it would be done; raises what the client raises."""
    body = {"action": act.verb, "q": q, "dryRun": dry_run}
    return decode(DaemonClient(daemon.path, BULK_TIMEOUT).post("/runner-jobs/bulk", body), BulkResult)


async def send_action(
    daemon: DaemonClient, act: JobAction, jobs: Sequence[RunnerJob], body: dict[str, str]
) -> list[str]:
    """Do it to each job, with `body` for the daemon; returns a sentence for each that was refused."""
    complaints = []
    for job in jobs:
        try:
            await asyncio.to_thread(daemon.post, f"{job_path(job.id)}/{act.verb}", body)
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8) as said:
            complaints.append(str(said))
    return complaints


async def run_action(app: "StitcherApp", act: JobAction, jobs: list[RunnerJob]) -> None:
    """Ask, and do it; what becomes of it is told by the event."""
    if not jobs:
        return
    body: dict[str, str] = {}
    if act in (APPROVE, DENY):
        try:
            about = await approval_facts(app, jobs)
        except REFUSALS as said:
            app.say(str(said), wrong=True)
            return
        title, lines = action_question(act, jobs)
        reason = await app.push_screen_wait(dialogs.ReasonDialog(title, [*about, *lines], needed=act is DENY))
        if reason is None:
            return
        body = {"reason": reason} if reason else {}
    elif not await app.push_screen_wait(ConfirmDialog(*action_question(act, jobs))):
        return
    app.acted.update(job.id for job in jobs)
    for complaint in await send_action(app.daemon, act, jobs, body):
        app.say(complaint, wrong=True)


async def run_bulk_action(app: "StitcherApp", act: JobAction, q: str) -> None:
    """Ask, and do it to every job that a filter means; which those are is settled by the daemon."""
    try:
        found = await asyncio.to_thread(send_bulk, app.daemon, act, q, dry_run=True)
        if not any(item.ok for item in found.items):
            app.say(f"there is nothing to {act.verb}")
        elif await app.push_screen_wait(ConfirmDialog(*bulk_question(act, q, found))):
            done = await asyncio.to_thread(send_bulk, app.daemon, act, q, dry_run=False)
            app.say(f"{act.verb}: {counted(sum(item.ok for item in done.items), 'job')}")
            if not all(item.ok for item in done.items):
                app.push_screen(
                    ReportDialog(f"{act.verb.capitalize()}: what became of each", bulk_result_lines(act.verb, done))
                )
    except REFUSALS as said:
        app.say(str(said), wrong=True)


async def toggle_pause(app: "StitcherApp") -> None:
    """Let nothing new start, or let jobs start again."""
    pulse = app.vitals.pulse
    if pulse is None:
        return
    if pulse.paused:
        why = f" ({pulse.reason})" if pulse.reason else ""
        said = plain(f"Paused by {pulse.paused_by or 'somebody'}{why}; {counted(pulse.queued, 'job')} in the queue.")
        if not await app.push_screen_wait(ConfirmDialog("Let jobs start again?", [[(said, "")]])):
            return
        route, body = "/resume", {}
    else:
        said = "What runs goes on; what comes in is stored, and waits until somebody resumes."
        reason = await app.push_screen_wait(dialogs.ReasonDialog("Let nothing new start?", [[(said, "")]]))
        if reason is None:
            return
        route, body = "/pause", {"reason": reason} if reason else {}
    try:
        state = decode(await app.ask(app.daemon.post, route, body), PauseState)
    except REFUSALS as said_no:
        app.say(str(said_no), wrong=True)
        return
    on = f"{len(state.running):,} running, {state.queued:,} queued"
    app.say(f"paused: {on}" if state.paused else f"jobs start again: {on}")
    app.ear.feel()


async def dispatch_job(app: "StitcherApp") -> None:
    """Start a job by hand, and open it."""
    from tui.screens.dispatch import DispatchScreen  # noqa: PLC0415 (the form is not needed for the first paint)

    job_id = await app.push_screen_wait(DispatchScreen(app.daemon))
    if job_id:
        app.open_job(job_id)


async def export_jobs(app: "StitcherApp", query: tuple[tuple[str, str], ...]) -> None:
    """Write the jobs of a list to a file in the present directory."""
    path = Path(f"stitcher-jobs-{ids.format_timestamp(app.clock())[:19].replace(':', '')}.jsonl")
    try:
        number = await asyncio.to_thread(write_jobs, app.daemon, query, path)
    except (OSError, *REFUSALS) as said:
        app.say(str(said), wrong=True)
    else:
        app.say(f"{counted(number, 'job')} in {path}")
