"""Cancel, retry, approve and deny from a screen: what may be asked for, how it is asked, and how it is sent."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from shared import ids
from shared.models import OPEN, BulkResult, RunnerJob, Status
from tui.client import Daemon, NotText, Refused, Unintelligible, Unreachable, decode, job_path
from tui.plain import plain
from tui.widgets.paint import Line
from tui.wording import count, look, place

NAMED = 8  # jobs that a question names one by one
PATIENCE = 600.0  # seconds for a command over many jobs: they are changed a few at a time


class Act(Struct, frozen=True):
    """Something that can be done to a job in one of these states, and what then happens."""

    verb: str
    possible: tuple[Status, ...]
    meaning: str
    in_bulk: bool = False  # whether it can be done to all that a filter means


CANCEL = Act("cancel", OPEN, "What runs is ended with all its processes; what waits never starts.", in_bulk=True)
RETRY = Act(
    "retry",
    (Status.FAILED, Status.CANCELLED),
    "A new attempt starts from a fresh checkout, under the first decision.",
    in_bulk=True,
)
APPROVE = Act("approve", (Status.PENDING,), "It is queued, and runs what was decided: w shows what, and who asked.")
DENY = Act("deny", (Status.PENDING,), "It never runs; the reason is kept with the job.")
ACTS = {act.verb: act for act in (CANCEL, RETRY, APPROVE, DENY)}


def fitting(act: Act, jobs: Sequence[RunnerJob]) -> list[RunnerJob]:
    """Return the jobs that it can be done to; one that is being cancelled needs no second cancel."""
    return [job for job in jobs if job.status in act.possible and not (act is CANCEL and job.cancel_requested)]


def question(act: Act, jobs: Sequence[RunnerJob]) -> tuple[str, list[Line]]:
    """Return the title and the lines of the question."""
    lines: list[Line] = []
    for job in jobs[:NAMED]:
        state = look(job)
        lines.append(
            [
                (f"{plain(ids.short(job.id))}  ", ""),
                (f"{state.glyph} {state.word:10}  ", state.colour),
                (f"{plain(job.type)} on {place(job.repository, job.thread)}", ""),
            ]
        )
    if len(jobs) > NAMED:
        lines.append([(f"and {len(jobs) - NAMED:,} more", "dim")])
    lines += [[], [(act.meaning, "dim")]]
    return f"{act.verb.capitalize()} {count(len(jobs), 'job')}?", lines


def question_all(act: Act, q: str, found: BulkResult) -> tuple[str, list[Line]]:
    """Return the title and the lines of the question for every job that a filter means."""
    fit = sum(item.ok for item in found.items)
    lines: list[Line] = [[("every job that fits  ", "dim"), (plain(q) or "anything", "accent")]]
    if fit < found.matched:
        lines.append([(f"{count(found.matched - fit, 'job')} more fit, and stay as they are", "dim")])
    return f"{act.verb.capitalize()} {count(fit, 'job')}?", [*lines, [], [(act.meaning, "dim")]]


def bulk(daemon: Daemon, act: Act, q: str, *, dry_run: bool) -> BulkResult:
    """Do it to every job that a filter means, or say to which it would be done; raises what the client raises."""
    body = {"action": act.verb, "q": q, "dryRun": dry_run}
    return decode(Daemon(daemon.path, PATIENCE).post("/runner-jobs/bulk", body), BulkResult)


async def send(daemon: Daemon, act: Act, jobs: Sequence[RunnerJob], body: dict[str, str]) -> list[str]:
    """Do it to each job, with `body` for the daemon; returns a sentence for each that was refused."""
    complaints = []
    for job in jobs:
        try:
            await asyncio.to_thread(daemon.post, f"{job_path(job.id)}/{act.verb}", body)
        except (Refused, Unreachable, Unintelligible, NotText) as said:
            complaints.append(str(said))
    return complaints
