"""What may be used up, by a job or in a day: calls of a model, and US dollars."""

from msgspec import Struct

_EXACT = 6  # decimals of a dollar


class Spent(Struct, frozen=True):
    """What was used up."""

    turns: int = 0
    usd: float = 0.0


class Budget(Struct, frozen=True):
    """What may be used up: calls of the model, and US dollars; None is no limit."""

    turns: int | None = None
    usd: float | None = None

    @property
    def limits(self) -> bool:
        """Whether it limits anything."""
        return self.turns is not None or self.usd is not None

    def less(self, spent: Spent) -> "Budget":
        """Return what is left of it."""
        turns = None if self.turns is None else max(self.turns - spent.turns, 0)
        return Budget(turns, None if self.usd is None else max(round(self.usd - spent.usd, _EXACT), 0.0))

    def within(self, other: "Budget") -> "Budget":
        """Return the tighter of both, for each of what they limit."""
        turns = [each.turns for each in (self, other) if each.turns is not None]
        usd = [each.usd for each in (self, other) if each.usd is not None]
        return Budget(min(turns, default=None), min(usd, default=None))

    def used_up(self, spent: Spent) -> str | None:
        """Return which part of it is used up, as a sentence goes on, or None while there is something of each."""
        if self.usd is not None and spent.usd >= self.usd:
            return f"{self.usd:g} USD"
        if self.turns is not None and spent.turns >= self.turns:
            return f"{self.turns:,} turns"
        return None

    def seen(self, spent: Spent) -> str:
        """Return how much of it is used up, as a check shows it."""
        turns = [] if self.turns is None else [f"{spent.turns:,} of {self.turns:,} turns"]
        return " and ".join([*([] if self.usd is None else [f"{spent.usd:.2f} of {self.usd:g} USD"]), *turns])

    def __str__(self) -> str:
        turns = [] if self.turns is None else [f"{self.turns:,} turns"]
        return " and ".join([*([] if self.usd is None else [f"{self.usd:g} USD"]), *turns])


class BudgetExceeded(Exception):
    """A budget leaves nothing for a try that would begin; the text says which, and how much it was."""


class DailyBudgetExceeded(BudgetExceeded):
    """There is something again on the next day."""
