"""What a new job counts against: rates, the day's budget, bots in a row; exact, since in its own transaction."""

import sqlite3

from msgspec import Struct
from msgspec.structs import replace

from shared.ids import stamp
from shared.models import Decision, Outcome, Remedy, Verdict
from stitcherd.budget import Budget
from stitcherd.store import spending

FREE = 4  # jobs that bots may ask for in a row on one thread
REST = 900_000  # milliseconds between the last of these and the next one, and twice as long with each further one
FORGOTTEN = spending.DAY  # after which an ask of a bot no longer counts: no rest is longer


class Use(Struct, frozen=True):
    """How much of a limit is used up, as its check `limit:name` shows it.

    Where that is all of it, `free_at` (ms) is when there is some again, `why` the reason and `remedy` the way out.
    """

    name: str
    seen: str
    free_at: int | None = None
    why: str = ""
    remedy: Remedy | None = None


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

    def use(self, db: sqlite3.Connection, now: int) -> Use:
        """Return how much of it is used up."""
        times = _asked(db, self.key, now - self.window, self.most)
        seen = f"{len(times)} of {self.most} by now for {self.who}"
        if len(times) < self.most:
            return Use(self.name, seen)
        free_at = times[-1] + self.window
        why = f"limit {self.name}: {self.written} for {self.who} is used up until {stamp(free_at)}"
        remedy = Remedy(f"ask again after {stamp(free_at)}, or raise {self.name}", self.line)
        return Use(self.name, seen, free_at, why, remedy)

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count a new job, and forget what the window has left behind."""
        _count(db, self.key, job_id, now, self.window)


class Day(Struct, frozen=True):
    """What all jobs together may use up in a day, as their executors report it."""

    budget: Budget
    line: int

    def use(self, db: sqlite3.Connection, now: int) -> Use:
        """Return how much of it is used up."""
        spent, name = spending.today(db, now), "budget.per_day"
        gone, seen = self.budget.used_up(spent), f"{self.budget.seen(spent)} today"
        if gone is None:
            return Use(name, seen)
        free_at = spending.tomorrow(now)
        why = f"limit {name}: {gone} are used up until {stamp(free_at)}"
        return Use(name, seen, free_at, why, Remedy(f"ask again after {stamp(free_at)}, or raise {name}", self.line))

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count nothing: what a job uses is known when it is used."""


class Chain(Struct, frozen=True):
    """Who asks on a thread: bots that answer each other must rest longer and longer, until a person asks there."""

    thread: str
    workspace: str
    by_bot: bool

    @property
    def key(self) -> str:
        """Return what is counted together: whatever bots there are, they ask in one row."""
        return f"{self.workspace} loop {self.thread}"

    def use(self, db: sqlite3.Connection, now: int) -> Use:
        """Return how many bots asked in a row; a person may always."""
        times = _asked(db, self.key, now - FORGOTTEN, -1) if self.by_bot else []
        seen = f"{len(times)} in a row on {self.thread}"
        free_at = times[0] + min(REST << min(len(times) - FREE, 30), FORGOTTEN) if len(times) >= FREE else now
        if free_at <= now:
            return Use("loop", seen)
        why = f"limit loop: bots asked {len(times)} times in a row on {self.thread}, and rest until {stamp(free_at)}"
        return Use(
            "loop", seen, free_at, why, Remedy(f"a person asks on the thread, or ask again after {stamp(free_at)}")
        )

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count a bot's new job; a person's ends the row."""
        if self.by_bot:
            _count(db, self.key, job_id, now, FORGOTTEN)
        else:
            db.execute("DELETE FROM asks WHERE quota = ?", (self.key,))


Limit = Quota | Day | Chain


def uses(db: sqlite3.Connection, limits: tuple[Limit, ...], now: int) -> tuple[Use, ...]:
    """Return how much of each limit is used up."""
    return tuple(limit.use(db, now) for limit in limits)


def note(db: sqlite3.Connection, limits: tuple[Limit, ...], job_id: str, now: int) -> None:
    """Count a new job against its limits."""
    for limit in limits:
        limit.note(db, job_id, now)


def ruled(decision: Decision, used: tuple[Use, ...]) -> Decision:
    """Return a decision with what its limits have seen; throttled where one of them is used up."""
    by_check = {f"limit:{use.name}": use for use in used}
    checks = tuple(
        check
        if (use := by_check.get(check.id)) is None
        else replace(check, outcome=Outcome.PASS if use.free_at is None else Outcome.FAIL, seen=use.seen)
        for check in decision.checks
    )
    last = max((use for use in used if use.free_at is not None), key=lambda use: use.free_at or 0, default=None)
    if last is None:
        return replace(decision, checks=checks)
    return replace(decision, verdict=Verdict.THROTTLED, reason=last.why, remedy=last.remedy, checks=checks)


def _asked(db: sqlite3.Connection, key: str, since: int, most: int) -> list[int]:
    """Return the times of the newest asks, at most so many (-1 for all), the newest first."""
    found = db.execute("SELECT at FROM asks WHERE quota = ? AND at > ? ORDER BY at DESC LIMIT ?", (key, since, most))
    return [row["at"] for row in found]


def _count(db: sqlite3.Connection, key: str, job_id: str, now: int, window: int) -> None:
    db.execute("DELETE FROM asks WHERE quota = ? AND at <= ?", (key, now - window))
    db.execute("INSERT INTO asks (quota, at, job) VALUES (?, ?, ?)", (key, now, job_id))
