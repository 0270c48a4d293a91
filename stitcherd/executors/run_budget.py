"""Counts what one run of an agent uses, as it is told, against the budget of the run."""

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import OutputSink

_USD_DECIMALS = 6


class RunBudgetExceeded(Exception):
    """The run exceeded its budget; the text says which part of it."""


class RunBudget:
    """Reports usage, and tells when there is more than the budget of the run allows."""

    def __init__(self, sink: OutputSink, budget: Budget) -> None:
        self._sink = sink
        self._budget = budget
        self._turns = 0
        self._usd = 0.0

    async def add(self, usage: Usage) -> None:
        """Report usage that was not reported before. Raises RunBudgetExceeded, once it is stored."""
        if usage == Usage():
            return
        self._turns += usage.turns
        self._usd = round(self._usd + usage.cost_usd, _USD_DECIMALS)
        await self._sink.add_usage(usage)
        most = self._budget
        if most.turns is not None and self._turns > most.turns:
            raise RunBudgetExceeded(f"The agent began turn {self._turns}, and its budget is {most.turns}.")
        if most.usd is not None and self._usd > most.usd:
            raise RunBudgetExceeded(f"The agent has used {self._usd:g} USD, and its budget is {most.usd:g} USD.")
