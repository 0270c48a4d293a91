"""Stores comments with commands about the jobs of their thread, each with what it does to a job, in one transaction."""

import sqlite3

import aiosqlite
from msgspec import Struct, structs

from shared.deliveries import Delivery
from shared.models import RunnerJob, Thread, Verdict
from stitcherd.policy import CommandResult
from stitcherd.store import approvals, retries, rows, transitions
from stitcherd.store.deliveries import (
    NewDelivery,
    StoredDelivery,
    get_delivery,
    insert_delivery,
    repeated_delivery,
)
from stitcherd.store.queries import fetch_all
from stitcherd.store.repetitions import RepeatedDelivery

LOOKED_AT = 10_000  # of the newest deliveries, for the newest that was decided on a thread
_ON_THREAD = "workspace = ? AND repository = ? COLLATE NOCASE AND thread_kind = ? AND thread_number = ?"
_ANSWERED = (Verdict.ALLOWED, Verdict.WAITING, Verdict.DENIED, Verdict.THROTTLED)


class ThreadChanged(Struct, frozen=True):
    """Nothing was stored: what waits on the thread is no longer what the caller has read."""


def add_command(
    db: sqlite3.Connection, new: NewDelivery, result: CommandResult, expected: tuple[tuple[str, int], ...] | None
) -> StoredDelivery | RepeatedDelivery | ThreadChanged:
    """Store a comment with the decision on it, and do to its job what it commands.

    `expected` are (id, version) of the jobs that waited on its thread when it was decided, oldest first; None where
    these do not matter. Raises Refusal where the job is not as it has to be.
    """
    repeated = repeated_delivery(db, new)
    if repeated is not None:
        return repeated
    if expected is not None and new.repository is not None and new.thread is not None:
        found = approvals.versions_on_thread(db, new.workspace, new.repository, new.thread)
        if found != expected:
            return ThreadChanged()
    job = None if result.job_id is None else _carry_out(db, new, result, result.job_id)
    insert_delivery(db, structs.replace(new, decision=result.decision, job_id=result.job_id))
    return StoredDelivery(job)


def _carry_out(db: sqlite3.Connection, new: NewDelivery, result: CommandResult, job_id: str) -> RunnerJob | None:
    reason, now = result.reason or result.decision.reason, new.received_at
    match result.action:
        case "approve":
            return approvals.approve(db, job_id, new.actor, result.reason, now, account_id=result.account_id)
        case "deny":
            return transitions.deny(db, job_id, new.actor, reason, now)
        case "cancel":
            return transitions.cancel(db, job_id, new.actor, reason, now)
        case "retry":
            return retries.retry(db, job_id, new.actor, now)
    return None


async def jobs_on_thread(
    db: aiosqlite.Connection, workspace: str, repository: str, thread: Thread, limit: int
) -> list[RunnerJob]:
    """Return the jobs of all sources on a thread, the newest first."""
    values = [workspace, repository, thread.kind, thread.number, limit]
    found = await fetch_all(db, f"SELECT * FROM jobs WHERE {_ON_THREAD} ORDER BY key DESC LIMIT ?", values)
    return [rows.job(row) for row in found]


async def last_decided_on_thread(
    db: aiosqlite.Connection, workspace: str, repository: str, thread: Thread
) -> Delivery | None:
    """Return the newest delivery on a thread that allowed or refused something, with its decision."""
    marks = ", ".join("?" * len(_ANSWERED))
    found = await fetch_all(
        db,
        f"SELECT id FROM deliveries WHERE key > (SELECT max(key) FROM deliveries) - {LOOKED_AT}"
        " AND workspace = ? AND repository = ? COLLATE NOCASE AND json_extract(thread, '$.kind') = ?"
        f" AND json_extract(thread, '$.number') = ? AND verdict IN ({marks}) ORDER BY key DESC LIMIT 1",
        [workspace, repository, thread.kind, thread.number, *_ANSWERED],
    )
    return await get_delivery(db, found[0]["id"], None) if found else None
