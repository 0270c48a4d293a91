"""What a PENDING job waits for, and what ends the waiting: an approval, time, or other rails.

Every function runs inside the writer's transaction. Who may approve is for the callers to say.
"""

import sqlite3
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from shared.ids import short, stamp
from shared.models import Decision, RunnerJob, Status, Thread, Waiting
from stitcherd.refusal import Refusal
from stitcherd.store import moves, rows
from stitcherd.store.decisions import add_decision

RAILS = "rails"  # who approves where other rails ask nobody


class Asking(Struct, frozen=True):
    """A guard that wants a person asked, and the names of the groups whose members may answer; none is nobody."""

    guard: str
    by: tuple[str, ...]


class Terms(Struct, frozen=True, kw_only=True):
    """What is asked, and what an approval would be of; an approval of anything else is void.

    Accounts are written `source:login`. `texts` are SHA-256 by the kind of text, `text_sha256` is that of all that
    the agent would read. `expires_at` is in milliseconds, `expires` as the rails say it; `pins` name what is pinned.
    With a `commit`, on `base`, it is that commit of an attempt that is asked about: approved, it is published.
    """

    guards: tuple[Asking, ...]
    source: str
    asker: str | None
    outsiders: tuple[str, ...]
    by_asker: bool
    pins: tuple[str, ...]
    rails: str
    head_sha: str | None
    text_sha256: str
    texts: Mapping[str, str]
    expires: str
    expires_at: int
    attempt: int | None = None
    commit: str | None = None
    base: str | None = None

    @property
    def by(self) -> tuple[str, ...]:
        """Return the names of all groups whose members may answer some guard."""
        return tuple(dict.fromkeys(name for guard in self.guards for name in guard.by))

    def payload(self, reason: str | None = None) -> dict[str, object]:
        """Return what the event `job.waiting` says of them."""
        told = {"guards": [guard.guard for guard in self.guards], "by": list(self.by)}
        return {**told, "expiresAt": stamp(self.expires_at), **({"reason": reason} if reason else {})}


class Renewal(Struct, frozen=True, kw_only=True):
    """What other rails make of a waiting job; without `terms` they ask nobody."""

    profile: str
    executor: str
    tries: int
    on_interrupt: str
    rails: str
    decision: Decision
    terms: Terms | None


def waiting(terms: str) -> Waiting:
    """Return what the stored terms of a waiting job tell a reader."""
    held = msgspec.json.decode(terms, type=Terms)
    return Waiting(tuple(guard.guard for guard in held.guards), held.by, stamp(held.expires_at))


def keep(db: sqlite3.Connection, key: int, terms: Terms) -> None:
    """Keep what a job waits for, by its integer key, in place of what it waited for before."""
    db.execute(
        "INSERT INTO approvals (job, terms, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (job) DO UPDATE SET terms = excluded.terms, expires_at = excluded.expires_at,"
        " approved_by = NULL",
        (key, rows.encode(terms), terms.expires_at),
    )


def ask(db: sqlite3.Connection, job_id: str, fence: tuple[int, str], now: int, terms: Terms) -> Status | None:
    """Let a running job wait until its commit is approved; returns where it stands then."""
    status = moves.wait(db, job_id, fence, terms.payload(), now)
    if status is Status.PENDING:
        keep(db, moves.find(db, job_id)["key"], terms)
    return status


def granted(db: sqlite3.Connection, key: int, attempt: int) -> Terms | None:
    """Return what was approved of an attempt, where that was its commit."""
    found = db.execute("SELECT terms FROM approvals WHERE job = ? AND approved_by IS NOT NULL", (key,)).fetchone()
    terms = None if found is None else msgspec.json.decode(found["terms"], type=Terms)
    return terms if terms is not None and terms.commit is not None and terms.attempt == attempt else None


def look(db: sqlite3.Connection, job_id: str) -> tuple[RunnerJob, Terms]:
    """Return a job and what it waits for; raise Refusal unless it waits."""
    row = moves.find(db, job_id)
    found = db.execute("SELECT terms FROM approvals WHERE job = ?", (row["key"],)).fetchone()
    if row["status"] != Status.PENDING or found is None:
        raise moves.not_waiting(row)
    return rows.job(row), msgspec.json.decode(found["terms"], type=Terms)


def on_thread(
    db: sqlite3.Connection, workspace: str, repository: str, thread: Thread, source: str
) -> list[tuple[RunnerJob, Terms]]:
    """Return the jobs that wait on a thread of a source, the oldest first, each with what it waits for."""
    found = db.execute(
        "SELECT id FROM jobs WHERE workspace = ? AND repository = ? AND thread_kind = ? AND thread_number = ?"
        " AND status = 'PENDING' ORDER BY key",
        (workspace, repository, thread.kind, thread.number),
    ).fetchall()
    waiting = [look(db, row["id"]) for row in found]
    return [(job, terms) for job, terms in waiting if terms.source == source]


def approve(
    db: sqlite3.Connection, job_id: str, actor: str, reason: str | None, now: int, seen: Terms | None = None
) -> RunnerJob:
    """Queue a waiting job; raise Refusal unless it waits, and still for what the caller has `seen`."""
    _, terms = look(db, job_id)
    if terms.expires_at <= now:
        raise Refusal("not_waiting", f"the time to approve job {short(job_id)} was over at {stamp(terms.expires_at)}")
    if seen is not None and seen != terms:
        raise _changed(job_id)
    db.execute(
        "UPDATE approvals SET approved_by = ? WHERE job = (SELECT key FROM jobs WHERE id = ?)",
        (actor, job_id),
    )
    return moves.approve(db, job_id, actor, reason, now)


def expire(db: sqlite3.Connection, now: int) -> list[RunnerJob]:
    """Cancel the jobs whose time to be approved is over, and return them."""
    over = db.execute(
        "SELECT j.id, a.terms FROM jobs j JOIN approvals a ON a.job = j.key"
        " WHERE j.status = 'PENDING' AND a.expires_at <= ? ORDER BY j.key",
        (now,),
    ).fetchall()
    return [
        moves.cancel(
            db,
            row["id"],
            moves.DAEMON,
            f"approval expired after {msgspec.json.decode(row['terms'], type=Terms).expires}",
            now,
        )
        for row in over
    ]


def renew(db: sqlite3.Connection, job_id: str, seen: Terms, new: Renewal, now: int) -> RunnerJob:
    """Let a waiting job wait for what other rails ask, or queue it where they ask nobody.

    Raises Refusal unless it waits, and still for what the caller has `seen`.
    """
    job, terms = look(db, job_id)
    if seen != terms:
        raise _changed(job_id)
    under = {
        "profile": new.profile,
        "executor": new.executor,
        "tries_max": new.tries,
        "on_interrupt": new.on_interrupt,
        "rails": new.rails,
        "decision": add_decision(db, new.decision),
    }
    if new.terms is None:
        moves.wait_under(db, job_id, under, None, now)
        return approve(db, job_id, RAILS, f"the rails {new.rails} ask nobody", now)
    told = new.terms.payload(f"the rails changed from {job.rails_revision} to {new.rails}")
    row = moves.wait_under(db, job_id, under, told, now)
    keep(db, row["key"], new.terms)
    return rows.job(row)


def _changed(job_id: str) -> Refusal:
    return Refusal("conflict", f"what job {short(job_id)} waits for has changed", "look at it, and approve it again")
