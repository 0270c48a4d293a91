"""Counts what one run of an agent uses, at its price, against the budget of the run."""

from msgspec import structs

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.base import OutputSink

_USD_DECIMALS = 6


class RunBudgetExceeded(Exception):
    """The run exceeded its budget; the text says which part of it."""


def check_budget(budget: Budget, turns: int, usd: float) -> None:
    """Raise RunBudgetExceeded if a run has used more than its budget."""
    if budget.turns is not None and turns > budget.turns:
        raise RunBudgetExceeded(f"The agent began turn {turns}, and its budget is {budget.turns}.")
    if budget.usd is not None and usd > budget.usd:
        raise RunBudgetExceeded(f"The agent has used {usd:g} USD, and its budget is {budget.usd:g} USD.")


def priced(usage: Usage, prices: PriceSettings | None) -> Usage:
    """Return a usage with what its tokens cost, where they have a price and no cost was told with them."""
    if prices is None or usage.cost_usd:
        return usage
    cost = (usage.input_tokens * prices.input + usage.output_tokens * prices.output) / 1_000_000
    return structs.replace(usage, cost_usd=round(cost, _USD_DECIMALS))


class RunBudget:
    """Reports usage as it is told, and tells when there is more than the budget of the run allows."""

    def __init__(self, sink: OutputSink, budget: Budget, prices: PriceSettings | None = None) -> None:
        self._sink = sink
        self._budget = budget
        self._prices = prices
        self._turns = 0
        self._usd = 0.0

    async def add(self, told: Usage) -> None:
        """Report usage that was not reported before. Raises RunBudgetExceeded, once it is stored."""
        if told == Usage():
            return
        usage = priced(told, self._prices)
        self._turns += usage.turns
        self._usd = round(self._usd + usage.cost_usd, _USD_DECIMALS)
        await self._sink.add_usage(usage)
        check_budget(self._budget, self._turns, self._usd)
