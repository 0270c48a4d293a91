"""Transitions of running jobs whose run was interrupted: requeued, taken over by another daemon, or failed."""

import msgspec
from msgspec import Struct

from shared.models import Failure, Status
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import fetch_all
from stitcherd.store.steps import Claimed, Fence, end_open_steps
from stitcherd.store.transitions import (
    DAEMON_ACTOR,
    conclude,
    end_cancelled,
    find_job_row,
    is_running,
    queue_next_attempt,
)

DAEMON_STOPPED = Failure(
    "interrupted",
    "the daemon stopped while the job ran",
    "retry it, or set on_interrupt: retry for its type in rails.yaml",
)
LOST = Failure("interrupted", "what became of its run could not be stored, or is not known", DAEMON_STOPPED.hint)
NOT_STORED = "storage was unavailable before its executor started: it starts from the beginning"
RUN_LOST = "its run was lost: it starts from the beginning"
NEWEST_TRY = (
    "SELECT s.try, s.resumable, s.reference, s.base,"
    " EXISTS (SELECT 1 FROM steps WHERE job = s.job AND attempt = s.attempt"
    " AND try = s.try AND type = 'AI_ACTION' AND status = 'COMPLETED') AS ended"
    " FROM starts s WHERE s.job = ? AND s.attempt = ? ORDER BY s.try DESC LIMIT 1"
)


class ResumableTry(Struct, frozen=True):
    """The newest try of an attempt that an earlier daemon began, and the `reference` by which its executor finds it.

    `base` is the sha that the checkout is based on; `ended` says that the executor had finished.
    """

    number: int
    reference: dict[str, str]
    base: str | None
    ended: bool


def adopt(db: Db, job_id: str, attempt: int, gone: str | None, owner: str) -> bool:
    """Become the owner of a running job whose owner is gone; return False where others were faster.

    From then on nobody else recovers it, for as long as `owner` has its lease. Its worker stays what it was, which has
    its checkout.
    """
    adopted = db.execute(
        "UPDATE jobs SET owner = ?, version = version + 1 WHERE id = ? AND status = 'RUNNING'"
        " AND attempt = ? AND coalesce(owner, '') = ?",
        (owner, job_id, attempt, gone or ""),
    )
    return adopted.rowcount == 1


def recover(db: Db, job_id: str, fence: tuple[int, str], now: int, failure: Failure = DAEMON_STOPPED) -> Status | None:
    """Requeue or end a running job that was adopted; return its new status, None where the fence does not hold.

    An acknowledged cancel wins. A job whose executor was never started in this attempt is requeued; one whose executor
    was started follows its type's `on_interrupt`: it fails with `failure`, or is requeued.
    """
    before = find_job_row(db, job_id)
    return _abort_or_requeue(db, before, fence, now, failure if _was_started(db, before) else None)


def fail_if_started(
    db: Db,
    job_id: str,
    fence: tuple[int, str],
    now: int,
    failure: Failure,
    held: str = NOT_STORED,
    held_until: int | None = None,
) -> Status | None:
    """Fail a running job, or requeue it where its executor was never started in this attempt; return its new status."""
    before = find_job_row(db, job_id)
    if _was_started(db, before):
        return conclude(db, job_id, fence, now, failure)
    return _abort_or_requeue(db, before, fence, now, None, held=held, held_until=held_until)


def interrupt(db: Db, job_id: str, fence: tuple[int, str], now: int, failure: Failure) -> Status | None:
    """Requeue or fail a running job whose run was lost, as its type's `on_interrupt` says; return its new status."""
    return _abort_or_requeue(db, find_job_row(db, job_id), fence, now, failure, held=RUN_LOST)


def requeue(
    db: Db, job_id: str, fence: tuple[int, str], now: int, reason: str, held_until: int | None = None
) -> Status | None:
    """Requeue a running job of which nothing could be started, and hold it until then; return its new status."""
    return _abort_or_requeue(db, find_job_row(db, job_id), fence, now, None, held=reason, held_until=held_until)


def take_over(db: Db, job_id: str, fence: tuple[int, str], now: int) -> bool:
    """Let a running job that was adopted be resumed; return False where its newest try is not resumable."""
    job = find_job_row(db, job_id)
    resumable = _to_resumable(db.execute(NEWEST_TRY, (job["key"], job["attempt"])).fetchone())
    if resumable is None or not is_running(job, fence):
        return False
    end_open_steps(db, job, now, "interrupted")
    db.execute(
        "UPDATE jobs SET last_event = 'job.recovered', current_step = NULL, last_line = NULL, version = version + 1"
        " WHERE key = ?",
        (job["key"],),
    )
    payload = {"attempt": job["attempt"], "try": resumable.number}
    add_events(
        db,
        new_event(
            "job.recovered",
            actor=DAEMON_ACTOR,
            now=now,
            job=(job["key"], job_id),
            workspace=job["workspace"],
            payload=payload,
        ),
    )
    return True


async def find_taken_over(db: Reader, job_id: str, attempt: int, owner: str) -> tuple[Claimed, ResumableTry] | None:
    """Return a job that `owner` has taken over, and the try to resume; None where it has not."""
    job = await _job_row(db, job_id)
    resumable = await _resumable(db, job) if job is not None else None
    if job is None or resumable is None or not is_running(job, (attempt, owner)):
        return None
    fence = Fence(job_id, job["key"], job["workspace"], attempt, owner)
    prompt = (await fetch_all(db, "SELECT prompt FROM job_texts WHERE job = ?", [job["key"]]))[0]["prompt"]
    return Claimed(rows.job(job), fence, prompt), resumable


async def find_resumable(db: Reader, job_id: str) -> tuple[str, ResumableTry] | None:
    """Return the executor of a job, and its newest try, if that may still be running there, outside our processes."""
    job = await _job_row(db, job_id)
    resumable = await _resumable(db, job) if job is not None else None
    return None if job is None or resumable is None or resumable.ended else (job["executor"], resumable)


def _was_started(db: Db, job: Row) -> bool:
    """Return whether the executor of a job may have begun in its present attempt."""
    started = db.execute(
        "SELECT 1 FROM starts WHERE job = ? AND attempt = ? AND (reference IS NOT NULL OR resumable = 0)",
        (job["key"], job["attempt"]),
    ).fetchone()
    return started is not None


async def _job_row(db: Reader, job_id: str) -> Row | None:
    found = await fetch_all(db, "SELECT * FROM jobs WHERE id = ?", [job_id])
    return found[0] if found else None


async def _resumable(db: Reader, job: Row) -> ResumableTry | None:
    found = await fetch_all(db, NEWEST_TRY, [job["key"], job["attempt"]])
    return _to_resumable(found[0] if found else None)


def _to_resumable(row: Row | None) -> ResumableTry | None:
    """Return the newest try of an attempt, None where there is none or its executor cannot find it by a reference."""
    if row is None or not row["resumable"] or row["reference"] is None:
        return None
    reference = msgspec.json.decode(row["reference"], type=dict[str, str])
    return ResumableTry(row["try"], reference, row["base"], bool(row["ended"]))


def _abort_or_requeue(
    db: Db,
    before: Row,
    fence: tuple[int, str] | None,
    now: int,
    failure: Failure | None,
    held: str | None = None,
    held_until: int | None = None,
) -> Status | None:
    """Requeue a running job, or fail it where there is a failure and its type does not retry; return its new status."""
    if before["cancel_requested"]:
        return end_cancelled(db, before["id"], now, fence)
    if not is_running(before, fence):
        return None
    if failure is not None and before["on_interrupt"] != "retry":
        return conclude(db, before["id"], (before["attempt"], before["owner"]), now, failure)
    end_open_steps(db, before, now, "interrupted" if failure else held or "interrupted")
    events = ("job.recovered", "job.queued")
    again = queue_next_attempt(
        db, before, (Status.RUNNING,), events, DAEMON_ACTOR, now, held=held, held_until=held_until
    )
    return None if again is None else Status.QUEUED
