"""What limits count, exactly because in the transaction that adds to it; and the switch that lets nothing start."""

import sqlite3
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.ids import stamp
from shared.models import Decision, Outcome, Pause, Remedy, RunnerJob, Status, Verdict
from stitcherd.store import moves
from stitcherd.store.progress import Fence

PAUSED = "paused: `stitcher resume` lets it start"


class Quota(Struct, frozen=True):
    """A rate as it binds one job: `most` jobs in `window` (ms) for one `who`; `name` and `line` are the rails'."""

    name: str
    line: int
    written: str
    most: int
    window: int
    who: str
    workspace: str

    @property
    def key(self) -> str:
        """Return what is counted together."""
        return f"{self.workspace} {self.name} {self.who}"


class Use(Struct, frozen=True):
    """How much of a quota is used up; `free_at` (ms) is set where that is all of it."""

    quota: Quota
    used: int
    free_at: int | None


class Slots(Struct, frozen=True):
    """How many jobs may run at the same time: in all, and in one repository; None is as many as there are workers."""

    total: int | None = None
    per_repo: int | None = None


class Held(Struct, frozen=True):
    """A job that stays queued, and why."""

    reason: str


def uses(db: sqlite3.Connection, quotas: tuple[Quota, ...], now: int) -> tuple[Use, ...]:
    """Return how much of each quota is used up."""
    return tuple(_use(db, quota, now) for quota in quotas)


def note(db: sqlite3.Connection, quotas: tuple[Quota, ...], job_id: str, now: int) -> None:
    """Count a new job against its quotas, and forget what their windows have left behind."""
    for quota in quotas:
        db.execute("DELETE FROM asks WHERE quota = ? AND at <= ?", (quota.key, now - quota.window))
        db.execute("INSERT INTO asks (quota, at, job) VALUES (?, ?, ?)", (quota.key, now, job_id))


def ruled(decision: Decision, used: tuple[Use, ...]) -> Decision:
    """Return a decision with what its limits have seen; throttled where one of them is used up."""
    seen = {f"limit:{use.quota.name}": use for use in used}
    checks = tuple(
        check
        if (use := seen.get(check.id)) is None
        else replace(
            check,
            outcome=Outcome.PASS if use.free_at is None else Outcome.FAIL,
            seen=f"{use.used} of {use.quota.most} by now for {use.quota.who}",
        )
        for check in decision.checks
    )
    last = max((use for use in used if use.free_at is not None), key=lambda use: use.free_at or 0, default=None)
    if last is None or last.free_at is None:
        return replace(decision, checks=checks)
    when = stamp(last.free_at)
    return replace(
        decision,
        verdict=Verdict.THROTTLED,
        reason=f"limit {last.quota.name}: {last.quota.written} for {last.quota.who} is used up until {when}",
        remedy=Remedy(f"ask again after {when}, or raise {last.quota.name}", last.quota.line),
        checks=checks,
    )


def claim(
    db: sqlite3.Connection, job_id: str, attempt: int, owner: str, now: int, slots: Slots
) -> tuple[RunnerJob, Fence] | Held | None:
    """Take a queued job as `moves.claim` does, unless a limit or a pause holds it; the reason is kept with the job."""
    job = moves.find(db, job_id)
    if job["attempt"] != attempt or job["status"] != Status.QUEUED:
        return None
    reason = _why_held(db, job, slots)
    moves.hold(db, job, reason, now)
    return moves.claim(db, job_id, attempt, owner, now) if reason is None else Held(reason)


def next_up(db: sqlite3.Connection, slots: Slots, most: int) -> tuple[bool, list[tuple[str, int, int]]]:
    """Return whether jobs are held, and (id, attempt, priority) of those that would start now, at most so many."""
    if db.execute(f"{HELD} LIMIT 1").fetchone() is None:
        return False, []
    if _paused(db) is not None:
        return True, []
    busy = {row["repository"]: row["n"] for row in db.execute(RUNNING_BY_REPOSITORY)}
    free = most if slots.total is None else min(most, slots.total - sum(busy.values()))
    found: list[tuple[str, int, int]] = []
    for job in db.execute(HELD):
        if len(found) >= free:
            break
        repository = job["repository"] and job["repository"].lower()
        if repository is not None and slots.per_repo is not None:
            busy[repository] = busy.get(repository, 0) + 1
            if busy[repository] > slots.per_repo:
                continue
        found.append((job["id"], job["attempt"], job["priority"]))
    return True, found


def pause(db: sqlite3.Connection, actor: str, reason: str | None, now: int) -> Pause:
    """Let no further job start, over restarts too; the first pause stands where there is one already."""
    value = msgspec.json.encode({"since": stamp(now), "actor": actor, "reason": reason}).decode()
    db.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('paused', ?)", (value,))
    return paused(db)


def resume(db: sqlite3.Connection) -> Pause:
    """Let jobs start again."""
    db.execute("DELETE FROM meta WHERE name = 'paused'")
    return paused(db)


def paused(db: sqlite3.Connection) -> Pause:
    """Return whether jobs may start, what runs all the same and how many wait."""
    found = _paused(db) or {}
    running = [row["id"] for row in db.execute("SELECT id FROM jobs WHERE status = 'RUNNING' ORDER BY key")]
    waiting = db.execute("SELECT coalesce(sum(n), 0) AS n FROM job_counts WHERE status = 'QUEUED'").fetchone()["n"]
    return Pause(
        bool(found), found.get("since"), found.get("actor"), found.get("reason"), running=tuple(running), queued=waiting
    )


RUNNING_BY_REPOSITORY = (
    "SELECT lower(repository) AS repository, count(*) AS n FROM jobs WHERE status = 'RUNNING' GROUP BY 1"
)
HELD = (
    "SELECT id, attempt, priority, repository FROM jobs INDEXED BY jobs_held"
    " WHERE held IS NOT NULL AND status = 'QUEUED' ORDER BY priority DESC, key"
)


def _use(db: sqlite3.Connection, quota: Quota, now: int) -> Use:
    since = now - quota.window
    times = db.execute(
        "SELECT at FROM asks WHERE quota = ? AND at > ? ORDER BY at DESC LIMIT ?", (quota.key, since, quota.most)
    ).fetchall()
    full = len(times) == quota.most
    return Use(quota, len(times), times[-1]["at"] + quota.window if full else None)


def _why_held(db: sqlite3.Connection, job: sqlite3.Row, slots: Slots) -> str | None:
    if _paused(db) is not None:
        return PAUSED
    if slots.total is None and slots.per_repo is None:
        return None
    busy = {row["repository"]: row["n"] for row in db.execute(RUNNING_BY_REPOSITORY)}
    if slots.total is not None and sum(busy.values()) >= slots.total:
        return f"limit: {slots.total} running in all"
    here = job["repository"] and job["repository"].lower()
    if here is not None and slots.per_repo is not None and busy.get(here, 0) >= slots.per_repo:
        return f"limit: {slots.per_repo} running on {job['repository']}"
    return None


def _paused(db: sqlite3.Connection) -> dict[str, Any] | None:
    row = db.execute("SELECT value FROM meta WHERE name = 'paused'").fetchone()
    return None if row is None else msgspec.json.decode(row["value"], type=dict[str, Any])
