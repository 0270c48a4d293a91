"""Decides which queued jobs may start: the pause, changed rails, free space, limits, unreachable executors."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from shared.api import PauseState
from shared.ids import format_timestamp
from shared.models import Phase, Status, StepType
from stitcherd.budget import next_day
from stitcherd.policy import ConcurrencyLimits
from stitcherd.store import limits, rows, transitions
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.queries import fetch_all
from stitcherd.store.rulings import RailsChanged, Ruling, Undecided, apply_ruling
from stitcherd.store.steps import CHECKOUT_STEP, Claimed, open_step

PAUSE = "SELECT value FROM meta WHERE name = 'paused'"
RUNNING_BY_REPOSITORY = (
    "SELECT lower(repository) AS repository, count(*) AS n FROM jobs WHERE status = 'RUNNING' GROUP BY 1"
)
ANY_HELD = "SELECT 1 FROM jobs INDEXED BY jobs_held WHERE held IS NOT NULL AND status = 'QUEUED' LIMIT 1"
HELD = (
    "SELECT id, attempt, priority, repository, executor, tries_used, state_id, decided_under"
    " FROM jobs INDEXED BY jobs_held WHERE held IS NOT NULL AND status = 'QUEUED' AND coalesce(held_until, 0) <= :now"
    " ORDER BY priority DESC, key"
)
HELD_FOR_THIS_REASON = HELD.replace("held IS NOT NULL", "held = :reason") + " LIMIT :limit"
HELD_FOR_ANOTHER_REASON = HELD.replace("held IS NOT NULL", "held <> :reason") + " LIMIT :limit"


class Held(Struct, frozen=True):
    """The reason for which a job stays queued, and whether that is another one than before."""

    reason: str
    is_new: bool = False


def claim(
    db: Db,
    job_id: str,
    attempt: int,
    owner: str,
    now: int,
    running: ConcurrencyLimits,
    ruling: Ruling | Undecided | None = None,
) -> Claimed | Held | RailsChanged | None:
    """Start a queued job for `owner`, with its first step, unless a limit or a pause holds it; then store the reason.

    A job that was decided under other rails than those in force needs their `ruling` on its present version, or is held
    where they cannot decide yet. Returns
    None where the job is not queued any more, or not in this attempt.
    """
    job = transitions.find_job_row(db, job_id)
    if job["attempt"] != attempt or job["status"] != Status.QUEUED:
        return None
    if job["held_until"] is not None and job["held_until"] > now:
        return Held(job["held"])
    reason = running.reasons.paused if _is_paused(db) else running.stopped
    if reason is None and running.rails_digest not in {None, job["decided_under"]}:
        if ruling is None or (ruling.version, ruling.rails_digest) != (job["version"], running.rails_digest):
            return RailsChanged(rows.job(job))
        if isinstance(ruling, Undecided):
            reason = ruling.reason
        else:
            apply_ruling(db, job, ruling, now)
            job = transitions.find_job_row(db, job_id)
            if job["status"] != Status.QUEUED:
                return None
    reason = reason or _limit_reason(db, job, running, now)
    transitions.set_held_reason(db, job, reason, now)
    if reason is not None:
        return Held(reason, is_new=reason != job["held"])
    return _start(db, job, attempt, owner, now)


def _start(db: Db, job: Row, attempt: int, owner: str, now: int) -> Claimed | None:
    started = transitions.start(db, job["id"], attempt, owner, now)
    if started is None:
        return None
    prompt: str = db.execute("SELECT prompt FROM job_texts WHERE job = ?", (job["key"],)).fetchone()["prompt"]
    if job["tries_used"] > 0:  # its commit was approved or kept, and is only to be published
        return Claimed(*started, prompt)
    step = open_step(db, started[1], now, phase=Phase.SETUP, type_=StepType.COMMAND, name=CHECKOUT_STEP, number=None)
    return Claimed(*started, prompt, step)


def find_startable(
    db: Db, running: ConcurrencyLimits, limit: int, now: int, is_wanted: Callable[[Row], bool] = lambda _job: True
) -> tuple[bool, list[tuple[str, int, int]]]:
    """Return whether any job is held, and (id, attempt, priority) of at most `limit` held jobs that may start now.

    Jobs held for a reason that no longer applies are among them, so that their claim stores the one that does. Only
    those that are wanted are returned.
    """
    if db.execute(ANY_HELD).fetchone() is None:
        return False, []
    if _is_paused(db):
        return True, []
    holds_all = running.stopped or _budget_reason(db, running, now)
    stale, reason = (
        (HELD_FOR_ANOTHER_REASON, holds_all) if holds_all else (HELD_FOR_THIS_REASON, running.reasons.paused)
    )
    values = {"now": now, "reason": reason, "limit": limit}
    found = [_startable(job) for job in db.execute(stale, values) if is_wanted(job)]
    if found or holds_all:
        return True, found
    busy = _running_by_repository(db)
    free = limit if running.total is None else min(limit, running.total - sum(busy.values()))
    for job in db.execute(HELD, {"now": now}):
        if len(found) >= free:
            break
        if job["executor"] in running.unreachable or not is_wanted(job):
            continue
        repository = job["repository"] and job["repository"].lower()
        if repository is not None and running.per_repo is not None:
            busy[repository] = busy.get(repository, 0) + 1
            if busy[repository] > running.per_repo:
                continue
        found.append(_startable(job))
    return True, found


def hold(db: Db, job_id: str, attempt: int, reason: str, until: int, now: int) -> None:
    """Hold a job until a time (ms), for a reason, if it is queued in this attempt."""
    job = transitions.find_job_row(db, job_id)
    if (job["status"], job["attempt"]) == (Status.QUEUED, attempt):
        transitions.set_held_reason(db, job, reason, now, until)


def pause(db: Db, actor: str, reason: str | None, now: int) -> None:
    """Let no further job start, across restarts too; an existing pause is left as it is."""
    value = msgspec.json.encode({"since": format_timestamp(now), "actor": actor, "reason": reason}).decode()
    db.execute("INSERT INTO meta (name, value) VALUES ('paused', ?) ON CONFLICT DO NOTHING", (value,))


def resume(db: Db) -> None:
    """Let jobs start again."""
    db.execute("DELETE FROM meta WHERE name = 'paused'")


async def read_pause(db: Reader) -> dict[str, Any] | None:
    """Return `since`, `actor` and `reason` of the pause; None where jobs may start."""
    found = await fetch_all(db, PAUSE, [])
    return msgspec.json.decode(found[0]["value"], type=dict[str, Any]) if found else None


async def read_pause_state(db: Reader) -> PauseState:
    """Return whether jobs may start, which jobs are running all the same, and how many are queued."""
    paused = await read_pause(db) or {}
    running = await fetch_all(db, "SELECT id FROM jobs WHERE status = 'RUNNING' ORDER BY key", [])
    queued = await fetch_all(db, "SELECT coalesce(sum(n), 0) AS n FROM job_counts WHERE status = 'QUEUED'", [])
    return PauseState(
        bool(paused),
        paused.get("since"),
        paused.get("actor"),
        paused.get("reason"),
        running=tuple(row["id"] for row in running),
        queued=queued[0]["n"],
    )


def _startable(job: Row) -> tuple[str, int, int]:
    return job["id"], job["attempt"], job["priority"]


def _limit_reason(db: Db, job: Row, running: ConcurrencyLimits, now: int) -> str | None:
    """Return the limit for which a job may not start now, None where it may."""
    if used_up := _budget_reason(db, running, now):
        return used_up
    if job["executor"] in running.unreachable:
        return running.unreachable[job["executor"]]
    return None if running.total is None and running.per_repo is None else _full_reason(db, job, running)


def _full_reason(db: Db, job: Row, running: ConcurrencyLimits) -> str | None:
    """Return which limit of running jobs is reached for a job."""
    busy, repository = _running_by_repository(db), job["repository"] and job["repository"].lower()
    if running.total is not None and sum(busy.values()) >= running.total:
        return running.reasons.total.format(total=running.total)
    if repository is not None and running.per_repo is not None and busy.get(repository, 0) >= running.per_repo:
        return running.reasons.per_repo.format(per_repo=running.per_repo, repository=job["repository"])
    return None


def _budget_reason(db: Db, running: ConcurrencyLimits, now: int) -> str | None:
    """Return the reason for which the daily budget holds jobs, None while some of it is left."""
    day = running.daily_budget
    used_up = day.used_up(limits.spent_today(db, now)) if day.limits else None
    until = format_timestamp(next_day(now))
    return running.reasons.daily_budget.format(budget=used_up, until=until) if used_up else None


def _running_by_repository(db: Db) -> dict[str | None, int]:
    return {row["repository"]: row["n"] for row in db.execute(RUNNING_BY_REPOSITORY)}


def _is_paused(db: Db) -> bool:
    return db.execute(PAUSE).fetchone() is not None
