"""Stores comments with commands about the jobs of their thread, each with what it does to a job, in one transaction."""

from collections.abc import Callable

from msgspec import Struct, structs

from shared.deliveries import Delivery
from shared.models import RunnerJob, Thread, Verdict
from stitcherd.policy import CommandResult, ThreadJob
from stitcherd.store import approvals, retries, rows, transitions
from stitcherd.store.db import Db, Reader
from stitcherd.store.deliveries import (
    NewDelivery,
    StoredDelivery,
    get_delivery,
    insert_deliveries,
    repeated_deliveries,
)
from stitcherd.store.queries import fetch_all
from stitcherd.store.repetitions import RepeatedDelivery

JOBS_READ = 100  # of a thread, the newest
LOOKED_AT = 10_000  # of the newest deliveries, for the newest that was decided on a thread
_ON_THREAD = "workspace = ? AND repository COLLATE NOCASE = ? COLLATE NOCASE AND thread_kind = ? AND thread_number = ?"
_ANSWERED = tuple(each for each in Verdict if each is not Verdict.IGNORED)

States = tuple[tuple[str, int | str], ...]  # of jobs, by id
ReadStates = Callable[[Db, str, str, Thread], States]  # in a workspace, a repository and a thread


class ThreadChanged(Struct, frozen=True):
    """Nothing was stored: the jobs of the thread are no longer as the caller has read them."""


def add_command(
    db: Db,
    new: NewDelivery,
    result: CommandResult,
    expected: States | None,
    read_states: ReadStates = approvals.versions_on_thread,
) -> StoredDelivery | RepeatedDelivery | ThreadChanged:
    """Store a comment with the decision on it, and do to its job what it commands.

    `expected` is what `read_states` returned of its thread when it was decided; None where this does not matter. Raises
    Refusal where the job is not as it has to be.
    """
    repeated = repeated_deliveries(db, [new])
    if repeated:
        return repeated[0]
    if (
        expected is not None
        and new.repository is not None
        and new.thread is not None
        and read_states(db, new.workspace, new.repository, new.thread) != expected
    ):
        return ThreadChanged()
    job = None if result.job_id is None else _carry_out(db, new, result, result.job_id)
    insert_deliveries(db, [(structs.replace(new, decision=result.decision, job_id=result.job_id), None)])
    return StoredDelivery(job)


def _carry_out(db: Db, new: NewDelivery, result: CommandResult, job_id: str) -> RunnerJob | None:
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


async def jobs_on_thread(db: Reader, workspace: str, repository: str, thread: Thread) -> list[ThreadJob]:
    """Return the newest jobs of all sources on a thread, the newest first."""
    found = await fetch_all(
        db,
        "SELECT j.*, d.source, json_extract(c.document, '$.trigger') AS trigger_id"
        f" FROM (SELECT * FROM jobs WHERE {_ON_THREAD}) j JOIN deliveries d ON d.id = j.delivery_id"
        " LEFT JOIN decisions c ON c.key = j.decision ORDER BY j.key DESC LIMIT ?",
        [workspace, repository, thread.kind, thread.number, JOBS_READ],
    )
    return [ThreadJob(rows.job(row), row["source"], row["trigger_id"]) for row in found]


def statuses_on_thread(db: Db, workspace: str, repository: str, thread: Thread) -> States:
    """Return (id, status) of the jobs that `jobs_on_thread` returns, within a transaction of the writer."""
    found = db.execute(
        f"SELECT j.id, j.status FROM (SELECT * FROM jobs WHERE {_ON_THREAD}) j"
        " JOIN deliveries d ON d.id = j.delivery_id ORDER BY j.key DESC LIMIT ?",
        (workspace, repository, thread.kind, thread.number, JOBS_READ),
    )
    return tuple((row["id"], row["status"]) for row in found)


async def last_decided_on_thread(
    db: Reader, source: str, workspace: str, repository: str, thread: Thread
) -> Delivery | None:
    """Return the newest delivery of a source on a thread that asked for something, with its decision."""
    marks = ", ".join("?" * len(_ANSWERED))
    found = await fetch_all(
        db,
        f"SELECT id FROM deliveries WHERE key > (SELECT max(key) FROM deliveries) - {LOOKED_AT}"
        " AND source = ? AND workspace = ? AND repository COLLATE NOCASE = ? COLLATE NOCASE"
        " AND json_extract(thread, '$.kind') = ?"
        f" AND CAST(json_extract(thread, '$.number') AS BIGINT) = ? AND verdict IN ({marks}) ORDER BY key DESC LIMIT 1",
        [source, workspace, repository, thread.kind, thread.number, *_ANSWERED],
    )
    return await get_delivery(db, found[0]["id"], None) if found else None
