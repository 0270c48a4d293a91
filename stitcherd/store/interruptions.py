"""Transitions of jobs whose run was interrupted."""

import sqlite3

import msgspec
from msgspec import Struct

from shared.models import Failure, RunnerJob, Status
from stitcherd.store import rows
from stitcherd.store.events import add_event
from stitcherd.store.steps import Fence, fail_open_steps
from stitcherd.store.transitions import (
    DAEMON_ACTOR,
    advance,
    end_cancelled,
    find_job_row,
    is_running,
    queue_next_attempt,
)


class ResumableTry(Struct, frozen=True):
    """What an earlier daemon left of an attempt: its newest try, by `reference` to be found at its executor.

    `base` is the sha that the checkout is based on, and `ended` says that the executor had come to its end.
    """

    number: int
    reference: dict[str, str]
    base: str | None
    ended: bool


def find_resumable(db: sqlite3.Connection, job: sqlite3.Row) -> ResumableTry | None:
    """Return what is left of a job's attempt; None where its executor gave nothing to find it by."""
    row = db.execute(
        "SELECT s.try, s.reference, s.base, EXISTS (SELECT 1 FROM steps WHERE job = s.job AND attempt = s.attempt"
        " AND try = s.try AND type = 'AI_ACTION' AND status = 'COMPLETED') AS ended"
        " FROM starts s WHERE s.job = ? AND s.attempt = ? ORDER BY s.try DESC LIMIT 1",
        (job["key"], job["attempt"]),
    ).fetchone()
    if row is None or row["reference"] is None:
        return None
    reference = msgspec.json.decode(row["reference"], type=dict[str, str])
    return ResumableTry(row["try"], reference, row["base"], bool(row["ended"]))


def may_run_elsewhere(db: sqlite3.Connection, job_id: str) -> bool:
    """Say whether a job's newest try may run at its executor still, and not as a child of ours."""
    left = find_resumable(db, db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone())
    return left is not None and not left.ended


DAEMON_STOPPED = Failure(
    "interrupted",
    "the daemon stopped while the job ran",
    "retry it, or set on_interrupt: retry for its type in rails.yaml",
)


def recover(db: sqlite3.Connection, job_id: str, now: int) -> Status | None:
    """Decide what becomes of a running job whose owner is gone; returns the status it is in now.

    A cancel that was acknowledged wins. A job whose executor was never started in this attempt is queued again;
    one whose executor was started follows its type's `on_interrupt`.
    """
    before = find_job_row(db, job_id)
    started = db.execute(
        "SELECT 1 FROM starts WHERE job = ? AND attempt = ? AND (reference IS NOT NULL OR NOT resumable)",
        (before["key"], before["attempt"]),
    ).fetchone()
    return _abort_or_requeue(db, before, None, now, None if started is None else DAEMON_STOPPED)


def interrupt(db: sqlite3.Connection, job_id: str, fence: tuple[int, str], now: int, failure: Failure) -> Status | None:
    """Let a running job whose run was lost go where its type's `on_interrupt` says; returns where it stands now."""
    return _abort_or_requeue(
        db, find_job_row(db, job_id), fence, now, failure, held="what it did was lost: it starts anew"
    )


def requeue(db: sqlite3.Connection, job_id: str, fence: tuple[int, str], now: int, reason: str) -> Status | None:
    """Queue a running job again because its executor is away, which started nothing; returns where it stands now."""
    return _abort_or_requeue(db, find_job_row(db, job_id), fence, now, None, held=reason)


def take_over(db: sqlite3.Connection, job_id: str, owner: str, now: int) -> int | None:
    """Take over a running job whose owner is gone, where its newest try can be gone on with; returns its attempt."""
    job = find_job_row(db, job_id)
    left = find_resumable(db, job) if is_running(job) else None
    if left is None:
        return None
    fail_open_steps(db, job, now, "interrupted")
    db.execute(
        "UPDATE jobs SET owner = ?, last_event = 'job.recovered', version = version + 1 WHERE key = ?",
        (owner, job["key"]),
    )
    told = {"attempt": job["attempt"], "try": left.number}
    add_event(
        db, "job.recovered", actor=DAEMON_ACTOR, now=now, job=job["key"], workspace=job["workspace"], payload=told
    )
    return int(job["attempt"])


def find_taken_over(
    db: sqlite3.Connection, job_id: str, attempt: int, owner: str
) -> tuple[RunnerJob, Fence, ResumableTry] | None:
    """Return a job that this daemon has taken over, with what was left of it; None where it is no such job."""
    row, mine = find_job_row(db, job_id), (attempt, owner)
    left = find_resumable(db, row) if is_running(row, mine) else None
    return None if left is None else (rows.job(row), Fence(job_id, row["key"], row["workspace"], *mine), left)


def _abort_or_requeue(
    db: sqlite3.Connection,
    before: sqlite3.Row,
    fence: tuple[int, str] | None,
    now: int,
    failure: Failure | None,
    held: str | None = None,
) -> Status | None:
    """Queue a running job again, or end it with the failure where its type does not want it to be run again."""
    if before["cancel_requested"]:
        return end_cancelled(db, before["id"], now, fence)
    if not is_running(before, fence):
        return None
    fail_open_steps(db, before, now, "interrupted" if failure else held or "interrupted")
    if failure is None or before["on_interrupt"] == "retry":
        again = queue_next_attempt(
            db, before, (Status.RUNNING,), ("job.recovered", "job.queued"), DAEMON_ACTOR, now, held
        )
        return None if again is None else Status.QUEUED
    row = advance(
        db,
        before["id"],
        came_from=(Status.RUNNING,),
        to=Status.FAILED,
        events=(("job.failed", rows.to_payload(failure)),),
        actor=DAEMON_ACTOR,
        now=now,
        changes={"owner": None, "completed_at": now, "error": rows.encode(failure)},
    )
    return None if row is None else Status.FAILED
