"""What may start: the limits of running jobs, the day's budget, and the switch that lets nothing start."""

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct

from shared.api import PauseState
from shared.ids import format_timestamp
from shared.models import RunnerJob, Status
from stitcherd.policy import ConcurrencyLimits
from stitcherd.store import limits, transitions
from stitcherd.store.steps import Fence

PAUSED_REASON = "paused: `stitcher resume` lets it start"


class Held(Struct, frozen=True):
    """A job that stays queued, and why."""

    reason: str


def claim(
    db: sqlite3.Connection, job_id: str, attempt: int, owner: str, now: int, slots: ConcurrencyLimits
) -> tuple[RunnerJob, Fence] | Held | None:
    """Take a queued job as `moves.claim` does, unless a limit or a pause holds it; the reason is kept with the job."""
    job = transitions.find_job_row(db, job_id)
    if job["attempt"] != attempt or job["status"] != Status.QUEUED:
        return None
    reason = _why_held(db, job, slots, now)
    transitions.set_held_reason(db, job, reason, now)
    return transitions.start(db, job_id, attempt, owner, now) if reason is None else Held(reason)


def find_startable(
    db: sqlite3.Connection, slots: ConcurrencyLimits, most: int, now: int
) -> tuple[bool, list[tuple[str, int, int]]]:
    """Return whether jobs are held, and (id, attempt, priority) of those that would start now, at most so many.

    Those that give a reason which no longer holds them are among them, so that they say what does.
    """
    if db.execute(f"{HELD} LIMIT 1").fetchone() is None:
        return False, []
    if _paused(db) is not None:
        return True, []
    gone = _used_up(db, slots, now)
    compared, reason = ("<>", gone) if gone else ("=", PAUSED_REASON)
    found = [_turn(job) for job in db.execute(f"{STALE.format(compared)} LIMIT ?", (reason, most))]
    if found or gone:
        return True, found
    busy = {row["repository"]: row["n"] for row in db.execute(RUNNING_BY_REPOSITORY)}
    free = most if slots.total is None else min(most, slots.total - sum(busy.values()))
    for job in db.execute(HELD):
        if len(found) >= free:
            break
        if job["executor"] in slots.away:
            continue
        repository = job["repository"] and job["repository"].lower()
        if repository is not None and slots.per_repo is not None:
            busy[repository] = busy.get(repository, 0) + 1
            if busy[repository] > slots.per_repo:
                continue
        found.append(_turn(job))
    return True, found


def unreachable_reason(executor: str, reason: str) -> str:
    """Return what a job says that waits for its executor to come back."""
    return f"executor {executor}: {reason}"


def pause(db: sqlite3.Connection, actor: str, reason: str | None, now: int) -> PauseState:
    """Let no further job start, over restarts too; the first pause stands where there is one already."""
    value = msgspec.json.encode({"since": format_timestamp(now), "actor": actor, "reason": reason}).decode()
    db.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('paused', ?)", (value,))
    return pause_state(db)


def resume(db: sqlite3.Connection) -> PauseState:
    """Let jobs start again."""
    db.execute("DELETE FROM meta WHERE name = 'paused'")
    return pause_state(db)


def pause_state(db: sqlite3.Connection) -> PauseState:
    """Return whether jobs may start, what runs all the same and how many wait."""
    found = _paused(db) or {}
    running = [row["id"] for row in db.execute("SELECT id FROM jobs WHERE status = 'RUNNING' ORDER BY key")]
    waiting = db.execute("SELECT coalesce(sum(n), 0) AS n FROM job_counts WHERE status = 'QUEUED'").fetchone()["n"]
    return PauseState(
        bool(found), found.get("since"), found.get("actor"), found.get("reason"), running=tuple(running), queued=waiting
    )


RUNNING_BY_REPOSITORY = (
    "SELECT lower(repository) AS repository, count(*) AS n FROM jobs WHERE status = 'RUNNING' GROUP BY 1"
)
HELD = (
    "SELECT id, attempt, priority, repository, executor FROM jobs INDEXED BY jobs_held"
    " WHERE held IS NOT NULL AND status = 'QUEUED' ORDER BY priority DESC, key"
)
STALE = HELD.replace("held IS NOT NULL", "held {} ?")


def _turn(job: sqlite3.Row) -> tuple[str, int, int]:
    return job["id"], job["attempt"], job["priority"]


def _why_held(db: sqlite3.Connection, job: sqlite3.Row, slots: ConcurrencyLimits, now: int) -> str | None:
    if _paused(db) is not None:
        return PAUSED_REASON
    if gone := _used_up(db, slots, now):
        return gone
    if job["executor"] in slots.away:
        return unreachable_reason(job["executor"], slots.away[job["executor"]])
    return None if slots.total is None and slots.per_repo is None else _why_full(db, job, slots)


def _why_full(db: sqlite3.Connection, job: sqlite3.Row, slots: ConcurrencyLimits) -> str | None:
    busy = {row["repository"]: row["n"] for row in db.execute(RUNNING_BY_REPOSITORY)}
    if slots.total is not None and sum(busy.values()) >= slots.total:
        return f"limit: {slots.total} running in all"
    here = job["repository"] and job["repository"].lower()
    if here is not None and slots.per_repo is not None and busy.get(here, 0) >= slots.per_repo:
        return f"limit: {slots.per_repo} running on {job['repository']}"
    return None


def _used_up(db: sqlite3.Connection, slots: ConcurrencyLimits, now: int) -> str | None:
    gone = slots.day.used_up(limits.spent_today(db, now)) if slots.day.limits else None
    return (
        f"limit: the day's budget of {gone} is used up until {format_timestamp(limits.next_day_ms(now))}"
        if gone
        else None
    )


def _paused(db: sqlite3.Connection) -> dict[str, Any] | None:
    row = db.execute("SELECT value FROM meta WHERE name = 'paused'").fetchone()
    return None if row is None else msgspec.json.decode(row["value"], type=dict[str, Any])
