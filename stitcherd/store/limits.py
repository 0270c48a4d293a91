"""Counts jobs for rate limits and cool-downs, and usage for budgets; what a reached limit means is for the rails.

A limit is exact because it is counted in the transaction that stores the job.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from shared.models import Usage
from stitcherd.budget import DAY_MS, Spent, next_day
from stitcherd.policy import BotCooldown, DailyBudget, JobLimit, LimitUse, RateLimit
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.queries import fetch_all, insert_rows

HITS = "SELECT at FROM hits WHERE limit_key = ? AND at > ? ORDER BY at DESC LIMIT ?"
SPENT = "SELECT coalesce(sum(turns), 0) AS turns, coalesce(sum(usd), 0.0) AS usd FROM spending"
SPENT_BY_DAY = f"{SPENT} WHERE day = ?"
# Attempts that the daemon started by itself share the budget of the job; a retry by a person renews it.
SPENT_BY_OTHER_TRIES = (
    f"{SPENT} WHERE job = :job AND (attempt, try) <> (:attempt, :try) AND attempt >= coalesce(("
    "SELECT max(CAST(json_extract(payload, '$.attempt') AS BIGINT)) FROM events"
    " WHERE job = :job AND type = 'job.retried'), 0)"
)
SPENT_TODAY_BY_OTHER_TRIES = f"{SPENT} WHERE day = :day AND (job, attempt, try) <> (:job, :attempt, :try)"
ALWAYS = 2**62  # ms: no hit is later
MAX_DOUBLINGS = 30  # of a cool-down: far beyond the longest one


class LimitsReached(Struct, frozen=True):
    """Nothing was stored, because at least one of the limits is reached."""

    uses: tuple[LimitUse, ...]


def count_uses(db: Db, limits: tuple[JobLimit, ...], now: int) -> tuple[LimitUse, ...]:
    """Return how much of each limit is used, within the transaction that is to store a job."""
    return tuple(
        _use(limit, db.execute(*_statement(limit, now)).fetchall() if _is_counted(limit) else (), now)
        for limit in limits
    )


async def read_uses(db: Reader, limits: tuple[JobLimit, ...], now: int) -> tuple[LimitUse, ...]:
    """Return how much of each limit is used."""
    return tuple(
        [
            _use(limit, await fetch_all(db, *_statement(limit, now)) if _is_counted(limit) else (), now)
            for limit in limits
        ]
    )


def are_reached(uses: tuple[LimitUse, ...]) -> bool:
    """Say whether any limit is reached."""
    return any(use.free_at is not None for use in uses)


def count_jobs(db: Db, counted: Iterable[tuple[str, tuple[JobLimit, ...], int]]) -> None:
    """Count new jobs, each with its id, limits and time, and forget the hits that the windows have left behind.

    No two of them have a limit with the same key.
    """
    forgotten: list[tuple[str, int]] = []
    hits: list[tuple[str, int, str]] = []
    for job_id, job_limits, now in counted:
        for limit in job_limits:
            if isinstance(limit, BotCooldown) and not limit.by_bot:
                forgotten.append((limit.key, ALWAYS))
            elif not isinstance(limit, DailyBudget):
                window = limit.window if isinstance(limit, RateLimit) else limit.longest
                forgotten.append((limit.key, now - window))
                hits.append((limit.key, now, job_id))
    db.executemany("DELETE FROM hits WHERE limit_key = ? AND at <= ?", forgotten)
    insert_rows(db, "INSERT INTO hits", ("limit_key", "at", "job"), hits)


def add_spending(db: Db, place: tuple[int, int, int], used: Usage, now: int) -> None:
    """Add the usage that an executor reported of a try: the key of its job, its attempt and its number."""
    db.execute(
        "INSERT INTO spending (job, attempt, try, day, turns, usd) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, attempt, try, day) DO UPDATE"
        " SET turns = spending.turns + excluded.turns, usd = spending.usd + excluded.usd",
        (*place, now // DAY_MS, used.turns, used.cost_usd),
    )


def spent_today(db: Db, now: int) -> Spent:
    """Return what all jobs have used on this day, within a transaction of the writer."""
    return _spent(db.execute(SPENT_BY_DAY, (now // DAY_MS,)).fetchall())


async def spent_before(db: Reader, place: tuple[int, int, int], now: int) -> tuple[Spent, Spent]:
    """Return what the other tries of a job have used, and what all other tries have used on this day.

    The usage of the try itself counts in neither: an earlier daemon may have begun it.
    """
    key, attempt, number = place
    values = {"job": key, "attempt": attempt, "try": number, "day": now // DAY_MS}
    by_job = await fetch_all(db, SPENT_BY_OTHER_TRIES, values)
    return _spent(by_job), _spent(await fetch_all(db, SPENT_TODAY_BY_OTHER_TRIES, values))


def _is_counted(limit: JobLimit) -> bool:
    """Say whether what is stored counts: a job that a person asks for ends the row of bots, however long it is."""
    return not isinstance(limit, BotCooldown) or limit.by_bot


def _statement(limit: JobLimit, now: int) -> tuple[str, tuple[object, ...]]:
    if isinstance(limit, RateLimit):
        return HITS, (limit.key, now - limit.window, limit.maximum)
    if isinstance(limit, BotCooldown):
        return HITS, (limit.key, now - limit.longest, ALWAYS)
    return SPENT_BY_DAY, (now // DAY_MS,)


def _use(limit: JobLimit, found: Sequence[Row], now: int) -> LimitUse:
    """Return how much of a limit is used, from what its statement has found."""
    if isinstance(limit, DailyBudget):
        spent = _spent(found)
        free_at = None if limit.budget.used_up(spent) is None else next_day(now)
        return LimitUse(limit.name, f"{limit.budget.seen(spent)} {limit.seen}", 0, spent, free_at)
    times = [row["at"] for row in found]  # the newest first
    free_at = None
    if isinstance(limit, RateLimit) and len(times) >= limit.maximum:
        free_at = times[-1] + limit.window
    elif isinstance(limit, BotCooldown) and len(times) >= limit.free:
        wait = limit.cooldown << min(len(times) - limit.free, MAX_DOUBLINGS)
        end = times[0] + min(wait, limit.longest)
        free_at = end if end > now else None
    return LimitUse(limit.name, f"{len(times)} {limit.seen}", len(times), free_at=free_at)


def _spent(found: Sequence[Row]) -> Spent:
    (row,) = found
    return Spent(row["turns"], round(row["usd"], 6))
