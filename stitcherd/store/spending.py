"""What agents have used up, by job and by day (UTC), as their executors reported it."""

import sqlite3

from shared.ids import stamp
from shared.models import Usage
from stitcherd.budget import Budget, Spent

DAY = 86_400_000  # milliseconds
SUMS = "SELECT coalesce(sum(turns), 0) AS turns, coalesce(sum(usd), 0.0) AS usd FROM spending"


class UsedUp(Exception):
    """A budget leaves nothing for a try that would begin; the text says which, and how much it was."""


class DayUsedUp(UsedUp):
    """There is something again on the next day."""


def add(db: sqlite3.Connection, place: tuple[int, int, int], used: Usage, now: int) -> None:
    """Add what an executor reported of a try, by the key of its job, its attempt and its number."""
    db.execute(
        "INSERT INTO spending (job, attempt, try, day, turns, usd) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, attempt, try, day) DO UPDATE SET turns = turns + excluded.turns, usd = usd + excluded.usd",
        (*place, now // DAY, used.turns, used.cost_usd),
    )


def today(db: sqlite3.Connection, now: int) -> Spent:
    """Return what was used up on this day, by all jobs."""
    return _sum(db.execute(f"{SUMS} WHERE day = ?", (now // DAY,)))


def tomorrow(now: int) -> int:
    """Return when the next day begins, in ms."""
    return (now // DAY + 1) * DAY


def rest(db: sqlite3.Connection, place: tuple[int, int, int], job: Budget, day: Budget, now: int) -> Budget:
    """Return what a try may use up, from the budgets of its job and of the day; raises UsedUp where that is nothing.

    What the try itself has used counts against neither: it may be one that an earlier daemon began. Attempts that
    came by themselves share the job's budget; a person's retry gives it anew.
    """
    key, attempt, number = place
    before = _sum(
        db.execute(
            f"{SUMS} WHERE job = :job AND (attempt, try) <> (:attempt, :try) AND attempt >= coalesce((SELECT"
            " max(json_extract(payload, '$.attempt')) FROM events WHERE job = :job AND type = 'job.retried'), 0)",
            {"job": key, "attempt": attempt, "try": number},
        )
    )
    others = _sum(
        db.execute(f"{SUMS} WHERE day = ? AND (job, attempt, try) <> (?, ?, ?)", (now // DAY, key, attempt, number))
    )
    if gone := job.used_up(before):
        raise UsedUp(f"the job's budget of {gone} is used up")
    if gone := day.used_up(others):
        raise DayUsedUp(f"the day's budget of {gone} is used up until {stamp(tomorrow(now))}")
    return job.less(before).within(day.less(others))


def _sum(found: sqlite3.Cursor) -> Spent:
    row = found.fetchone()
    return Spent(row["turns"], round(row["usd"], 6))
