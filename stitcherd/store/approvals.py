"""What a PENDING job waits for, and what ends the waiting: an approval, time, or other rails.

Every function runs inside the writer's transaction. Who may approve is for the callers to say.
"""

import sqlite3

import msgspec
from msgspec import Struct

from shared.ids import format_timestamp, short_id
from shared.models import Decision, PendingApproval, RunnerJob, Status, Thread
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest
from stitcherd.store import rows, transitions
from stitcherd.store.decisions import add_decision

RAILS_ACTOR = "rails"  # who approves where other rails ask nobody


class Reevaluation(Struct, frozen=True, kw_only=True):
    """What other rails make of a waiting job; without `terms` they ask nobody."""

    profile: str
    executor: str
    tries: int
    on_interrupt: str
    rails: str
    decision: Decision
    terms: ApprovalRequest | None


def waiting_of(terms: str) -> PendingApproval:
    """Return what the stored terms of a waiting job tell a reader."""
    held = msgspec.json.decode(terms, type=ApprovalRequest)
    return PendingApproval(tuple(guard.guard for guard in held.guards), held.by, format_timestamp(held.expires_at))


def save_request(db: sqlite3.Connection, key: int, terms: ApprovalRequest) -> None:
    """Keep what a job waits for, by its integer key, in place of what it waited for before."""
    db.execute(
        "INSERT INTO approvals (job, request, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (job) DO UPDATE SET request = excluded.request, expires_at = excluded.expires_at,"
        " approved_by = NULL",
        (key, rows.encode(terms), terms.expires_at),
    )


def request_approval(
    db: sqlite3.Connection, job_id: str, fence: tuple[int, str], now: int, terms: ApprovalRequest
) -> Status | None:
    """Let a running job wait until its commit is approved; returns where it stands then."""
    status = transitions.wait_for_approval(db, job_id, fence, terms.payload(), now)
    if status is Status.PENDING:
        save_request(db, transitions.find_job_row(db, job_id)["key"], terms)
    return status


def find_granted(db: sqlite3.Connection, key: int, attempt: int) -> ApprovalRequest | None:
    """Return what was approved of an attempt, where that was its commit."""
    found = db.execute("SELECT request FROM approvals WHERE job = ? AND approved_by IS NOT NULL", (key,)).fetchone()
    terms = None if found is None else msgspec.json.decode(found["request"], type=ApprovalRequest)
    return terms if terms is not None and terms.commit is not None and terms.attempt == attempt else None


def find_waiting(db: sqlite3.Connection, job_id: str) -> tuple[RunnerJob, ApprovalRequest]:
    """Return a job and what it waits for; raise Refusal unless it waits."""
    row = transitions.find_job_row(db, job_id)
    found = db.execute("SELECT request FROM approvals WHERE job = ?", (row["key"],)).fetchone()
    if row["status"] != Status.PENDING or found is None:
        raise transitions.not_waiting(row)
    return rows.job(row), msgspec.json.decode(found["request"], type=ApprovalRequest)


def waiting_on_thread(
    db: sqlite3.Connection, workspace: str, repository: str, thread: Thread, source: str
) -> list[tuple[RunnerJob, ApprovalRequest]]:
    """Return the jobs that wait on a thread of a source, the oldest first, each with what it waits for."""
    found = db.execute(
        "SELECT id FROM jobs WHERE workspace = ? AND repository = ? AND thread_kind = ? AND thread_number = ?"
        " AND status = 'PENDING' ORDER BY key",
        (workspace, repository, thread.kind, thread.number),
    ).fetchall()
    waiting = [find_waiting(db, row["id"]) for row in found]
    return [(job, terms) for job, terms in waiting if terms.source == source]


def approve(
    db: sqlite3.Connection, job_id: str, actor: str, reason: str | None, now: int, seen: ApprovalRequest | None = None
) -> RunnerJob:
    """Queue a waiting job; raise Refusal unless it waits, and still for what the caller has `seen`."""
    _, terms = find_waiting(db, job_id)
    if terms.expires_at <= now:
        raise Refusal(
            "not_waiting",
            f"the time to approve job {short_id(job_id)} was over at {format_timestamp(terms.expires_at)}",
        )
    if seen is not None and seen != terms:
        raise _changed(job_id)
    db.execute(
        "UPDATE approvals SET approved_by = ? WHERE job = (SELECT key FROM jobs WHERE id = ?)",
        (actor, job_id),
    )
    return transitions.approve(db, job_id, actor, reason, now)


def expire(db: sqlite3.Connection, now: int) -> list[RunnerJob]:
    """Cancel the jobs whose time to be approved is over, and return them."""
    over = db.execute(
        "SELECT j.id, a.request FROM jobs j JOIN approvals a ON a.job = j.key"
        " WHERE j.status = 'PENDING' AND a.expires_at <= ? ORDER BY j.key",
        (now,),
    ).fetchall()
    return [
        transitions.cancel(
            db,
            row["id"],
            transitions.DAEMON_ACTOR,
            f"approval expired after {msgspec.json.decode(row['request'], type=ApprovalRequest).expires}",
            now,
        )
        for row in over
    ]


def replace_request(
    db: sqlite3.Connection, job_id: str, seen: ApprovalRequest, new: Reevaluation, now: int
) -> RunnerJob:
    """Let a waiting job wait for what other rails ask, or queue it where they ask nobody.

    Raises Refusal unless it waits, and still for what the caller has `seen`.
    """
    job, terms = find_waiting(db, job_id)
    if seen != terms:
        raise _changed(job_id)
    under = {
        "profile": new.profile,
        "executor": new.executor,
        "tries_max": new.tries,
        "on_interrupt": new.on_interrupt,
        "rails_revision": new.rails,
        "decision": add_decision(db, new.decision),
    }
    if new.terms is None:
        transitions.update_waiting(db, job_id, under, None, now)
        return approve(db, job_id, RAILS_ACTOR, f"the rails {new.rails} ask nobody", now)
    told = new.terms.payload(f"the rails changed from {job.rails_revision} to {new.rails}")
    row = transitions.update_waiting(db, job_id, under, told, now)
    save_request(db, row["key"], new.terms)
    return rows.job(row)


def _changed(job_id: str) -> Refusal:
    return Refusal("conflict", f"what job {short_id(job_id)} waits for has changed", "look at it, and approve it again")
