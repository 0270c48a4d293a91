"""Budgets: how many model calls and US dollars a job, or all jobs in a day, may use."""

from msgspec import Struct

DAY_MS = 86_400_000

_USD_DECIMALS = 6


class Spent(Struct, frozen=True):
    """Usage: model calls (turns) and US dollars."""

    turns: int = 0
    usd: float = 0.0


class Budget(Struct, frozen=True):
    """The most that may be used: model calls (turns) and US dollars; None is no limit."""

    turns: int | None = None
    usd: float | None = None

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.turns is not None or self.usd is not None

    def less(self, spent: Spent) -> "Budget":
        """Return what is left of it."""
        turns = None if self.turns is None else max(self.turns - spent.turns, 0)
        return Budget(turns, None if self.usd is None else max(round(self.usd - spent.usd, _USD_DECIMALS), 0.0))

    def within(self, other: "Budget") -> "Budget":
        """Return the tighter of both, separately for turns and dollars."""
        turns = [each.turns for each in (self, other) if each.turns is not None]
        usd = [each.usd for each in (self, other) if each.usd is not None]
        return Budget(min(turns, default=None), min(usd, default=None))

    def used_up(self, spent: Spent) -> str | None:
        """Return the part of it that is used up (`2 USD`, `100 turns`), None while some of each is left."""
        if self.usd is not None and spent.usd >= self.usd:
            return f"{self.usd:g} USD"
        if self.turns is not None and spent.turns >= self.turns:
            return f"{self.turns:,} turns"
        return None

    def seen(self, spent: Spent) -> str:
        """Return how much of it is used, as a check shows it."""
        turns = [] if self.turns is None else [f"{spent.turns:,} of {self.turns:,} turns"]
        return " and ".join([*([] if self.usd is None else [f"{spent.usd:.2f} of {self.usd:g} USD"]), *turns])

    def __str__(self) -> str:
        turns = [] if self.turns is None else [f"{self.turns:,} turns"]
        return " and ".join([*([] if self.usd is None else [f"{self.usd:g} USD"]), *turns])


class BudgetExceeded(Exception):
    """A budget leaves nothing for a try that is about to start; the message says which one and how much it was."""


class DailyBudgetExceeded(BudgetExceeded):
    """The daily budget leaves nothing until the next day."""


def next_day(now: int) -> int:
    """Return when the next day (UTC) begins; both times in ms."""
    return (now // DAY_MS + 1) * DAY_MS
