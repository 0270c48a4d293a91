"""What a run has used so far, each call of the model counted once, and whether that is more than its budget."""

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.openclaw.answers import Row, Session, Tokens


class BudgetSpent(Exception):
    """The run used more than it may; the text says what of."""


class Meter:
    """Counts what comes live, and again in the transcript, by the transcript's ids.

    `reported` is what was told before, perhaps by an earlier daemon: only what is beyond it is news.
    """

    def __init__(self, budget: Budget, reported: Usage) -> None:
        self.reported = reported
        self._budget = budget
        self._calls: dict[str, Tokens] = {}
        self._turns = 0

    def turn(self) -> None:
        """Count a call of the model that begins."""
        self._turns += 1

    def count(self, row: Row) -> None:
        """Count a line of the transcript; one that was counted before changes nothing."""
        if row.role == "assistant" and row.usage is not None:
            self._calls[row.marks.id] = row.usage

    @property
    def is_whole(self) -> bool:
        """Whether the transcript has left out no call of the model that was seen to begin."""
        return 0 < self._turns == len(self._calls)

    def news(self, final: Session | None = None) -> Usage | None:
        """Return what was not reported yet, and take it as reported; `final` corrects what the transcript left out.

        The transcript has no line for a call that asked for a tool which is not there, but the session's sum has it.
        """
        calls = self._calls.values()
        total = Usage(
            max(sum(call.input for call in calls), final.input_tokens if final else 0),
            max(sum(call.output for call in calls), final.output_tokens if final else 0),
            round(max(sum(call.cost.total for call in calls), final.estimated_cost_usd if final else 0.0), 6),
            max(self._turns, len(calls)),
        )
        before = self.reported
        news = Usage(
            max(total.input_tokens - before.input_tokens, 0),
            max(total.output_tokens - before.output_tokens, 0),
            round(max(total.cost_usd - before.cost_usd, 0.0), 6),
            max(total.turns - before.turns, 0),
        )
        if news == Usage():
            return None
        self.reported = Usage(
            before.input_tokens + news.input_tokens,
            before.output_tokens + news.output_tokens,
            round(before.cost_usd + news.cost_usd, 6),
            before.turns + news.turns,
        )
        return news

    def check(self) -> None:
        """Raise BudgetSpent where more was used than may be."""
        turns, usd = max(self._turns, len(self._calls)), self.reported.cost_usd
        if self._budget.turns is not None and turns > self._budget.turns:
            raise BudgetSpent(f"The agent began turn {turns}, and its budget is {self._budget.turns}.")
        if self._budget.usd is not None and usd > self._budget.usd:
            raise BudgetSpent(f"The agent has used {usd:g} USD, and its budget is {self._budget.usd:g} USD.")
