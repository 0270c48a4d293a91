"""What a new job counts against: rates, the day's budget, bots in a row; exact, since in its own transaction."""

import sqlite3

from msgspec import Struct
from msgspec.structs import replace

from shared.ids import format_timestamp
from shared.models import CheckOutcome, Decision, Remedy, Usage, Verdict
from stitcherd.budget import Budget, BudgetExceeded, DailyBudgetExceeded, Spent

# merged from stitcherd.store.spending: What agents have used up, by job and by day (UTC), as their executors
# reported it.

DAY_MS = 86_400_000  # milliseconds
SPENDING_SUMS = "SELECT coalesce(sum(turns), 0) AS turns, coalesce(sum(usd), 0.0) AS usd FROM spending"


def add_spending(db: sqlite3.Connection, place: tuple[int, int, int], used: Usage, now: int) -> None:
    """Add what an executor reported of a try, by the key of its job, its attempt and its number."""
    db.execute(
        "INSERT INTO spending (job, attempt, try, day, turns, usd) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (job, attempt, try, day) DO UPDATE SET turns = turns + excluded.turns, usd = usd + excluded.usd",
        (*place, now // DAY_MS, used.turns, used.cost_usd),
    )


def spent_today(db: sqlite3.Connection, now: int) -> Spent:
    """Return what was used up on this day, by all jobs."""
    return _spent(db.execute(f"{SPENDING_SUMS} WHERE day = ?", (now // DAY_MS,)))


def next_day_ms(now: int) -> int:
    """Return when the next day begins, in ms."""
    return (now // DAY_MS + 1) * DAY_MS


def remaining_budget(db: sqlite3.Connection, place: tuple[int, int, int], job: Budget, day: Budget, now: int) -> Budget:
    """Return what a try may use up, from the budgets of its job and of the day; raises UsedUp where that is nothing.

    What the try itself has used counts against neither: it may be one that an earlier daemon began. Attempts that
    came by themselves share the job's budget; a person's retry gives it anew.
    """
    key, attempt, number = place
    before = _spent(
        db.execute(
            f"{SPENDING_SUMS} WHERE job = :job AND (attempt, try) <> (:attempt, :try) AND attempt >= coalesce((SELECT"
            " max(json_extract(payload, '$.attempt')) FROM events WHERE job = :job AND type = 'job.retried'), 0)",
            {"job": key, "attempt": attempt, "try": number},
        )
    )
    others = _spent(
        db.execute(
            f"{SPENDING_SUMS} WHERE day = ? AND (job, attempt, try) <> (?, ?, ?)", (now // DAY_MS, key, attempt, number)
        )
    )
    if gone := job.used_up(before):
        raise BudgetExceeded(f"the job's budget of {gone} is used up")
    if gone := day.used_up(others):
        raise DailyBudgetExceeded(f"the day's budget of {gone} is used up until {format_timestamp(next_day_ms(now))}")
    return job.less(before).within(day.less(others))


def _spent(found: sqlite3.Cursor) -> Spent:
    row = found.fetchone()
    return Spent(row["turns"], round(row["usd"], 6))


BOT_JOBS_FREE = 4  # jobs that bots may ask for in a row on one thread
BOT_COOLDOWN_MS = (
    900_000  # milliseconds between the last of these and the next one, and twice as long with each further one
)
BOT_MEMORY_MS = DAY_MS  # after which an ask of a bot no longer counts: no rest is longer


class LimitUse(Struct, frozen=True):
    """How much of a limit is used up, as its check `limit:name` shows it.

    Where that is all of it, `free_at` (ms) is when there is some again, `why` the reason and `remedy` the way out.
    """

    name: str
    seen: str
    free_at: int | None = None
    why: str = ""
    remedy: Remedy | None = None


class RateLimit(Struct, frozen=True):
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

    def use(self, db: sqlite3.Connection, now: int) -> LimitUse:
        """Return how much of it is used up."""
        times = _hit_times(db, self.key, now - self.window, self.most)
        seen = f"{len(times)} of {self.most} by now for {self.who}"
        if len(times) < self.most:
            return LimitUse(self.name, seen)
        free_at = times[-1] + self.window
        why = f"limit {self.name}: {self.written} for {self.who} is used up until {format_timestamp(free_at)}"
        remedy = Remedy(f"ask again after {format_timestamp(free_at)}, or raise {self.name}", self.line)
        return LimitUse(self.name, seen, free_at, why, remedy)

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count a new job, and forget what the window has left behind."""
        _add_hit(db, self.key, job_id, now, self.window)


class DailyBudget(Struct, frozen=True):
    """What all jobs together may use up in a day, as their executors report it."""

    budget: Budget
    line: int

    def use(self, db: sqlite3.Connection, now: int) -> LimitUse:
        """Return how much of it is used up."""
        spent, name = spent_today(db, now), "budget.per_day"
        gone, seen = self.budget.used_up(spent), f"{self.budget.seen(spent)} today"
        if gone is None:
            return LimitUse(name, seen)
        free_at = next_day_ms(now)
        why = f"limit {name}: {gone} are used up until {format_timestamp(free_at)}"
        return LimitUse(
            name, seen, free_at, why, Remedy(f"ask again after {format_timestamp(free_at)}, or raise {name}", self.line)
        )

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count nothing: what a job uses is known when it is used."""


class BotCooldown(Struct, frozen=True):
    """Who asks on a thread: bots that answer each other must rest longer and longer, until a person asks there."""

    thread: str
    workspace: str
    by_bot: bool

    @property
    def key(self) -> str:
        """Return what is counted together: whatever bots there are, they ask in one row."""
        return f"{self.workspace} loop {self.thread}"

    def use(self, db: sqlite3.Connection, now: int) -> LimitUse:
        """Return how many bots asked in a row; a person may always."""
        times = _hit_times(db, self.key, now - BOT_MEMORY_MS, -1) if self.by_bot else []
        seen = f"{len(times)} in a row on {self.thread}"
        free_at = (
            times[0] + min(BOT_COOLDOWN_MS << min(len(times) - BOT_JOBS_FREE, 30), BOT_MEMORY_MS)
            if len(times) >= BOT_JOBS_FREE
            else now
        )
        if free_at <= now:
            return LimitUse("loop", seen)
        rest = format_timestamp(free_at)
        why = f"limit loop: bots asked {len(times)} times in a row on {self.thread}, and rest until {rest}"
        return LimitUse(
            "loop",
            seen,
            free_at,
            why,
            Remedy(f"a person asks on the thread, or ask again after {format_timestamp(free_at)}"),
        )

    def note(self, db: sqlite3.Connection, job_id: str, now: int) -> None:
        """Count a bot's new job; a person's ends the row."""
        if self.by_bot:
            _add_hit(db, self.key, job_id, now, BOT_MEMORY_MS)
        else:
            db.execute("DELETE FROM hits WHERE limit_key = ?", (self.key,))


Limit = RateLimit | DailyBudget | BotCooldown


def read_uses(db: sqlite3.Connection, limits: tuple[Limit, ...], now: int) -> tuple[LimitUse, ...]:
    """Return how much of each limit is used up."""
    return tuple(limit.use(db, now) for limit in limits)


def count_job(db: sqlite3.Connection, limits: tuple[Limit, ...], job_id: str, now: int) -> None:
    """Count a new job against its limits."""
    for limit in limits:
        limit.note(db, job_id, now)


def apply_limits(decision: Decision, used: tuple[LimitUse, ...]) -> Decision:
    """Return a decision with what its limits have seen; throttled where one of them is used up."""
    by_check = {f"limit:{use.name}": use for use in used}
    checks = tuple(
        check
        if (use := by_check.get(check.id)) is None
        else replace(check, outcome=CheckOutcome.PASS if use.free_at is None else CheckOutcome.FAIL, seen=use.seen)
        for check in decision.checks
    )
    last = max((use for use in used if use.free_at is not None), key=lambda use: use.free_at or 0, default=None)
    if last is None:
        return replace(decision, checks=checks)
    return replace(decision, verdict=Verdict.THROTTLED, reason=last.why, remedy=last.remedy, checks=checks)


def _hit_times(db: sqlite3.Connection, key: str, since: int, most: int) -> list[int]:
    """Return the times of the newest asks, at most so many (-1 for all), the newest first."""
    found = db.execute(
        "SELECT at FROM hits WHERE limit_key = ? AND at > ? ORDER BY at DESC LIMIT ?", (key, since, most)
    )
    return [row["at"] for row in found]


def _add_hit(db: sqlite3.Connection, key: str, job_id: str, now: int, window: int) -> None:
    db.execute("DELETE FROM hits WHERE limit_key = ? AND at <= ?", (key, now - window))
    db.execute("INSERT INTO hits (limit_key, at, job) VALUES (?, ?, ?)", (key, now, job_id))
