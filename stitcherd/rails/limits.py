"""From the words of `limits` to the rules that are in force, and how a decision shows them; it counts nothing."""

from typing import get_args

from shared.models import Check, Outcome
from stitcherd import units
from stitcherd.budget import Budget
from stitcherd.rails.nodes import Node
from stitcherd.rails.rulebook import LimitRules, Rate, RateName
from stitcherd.rails.schema import Limits

_SPENDING = {
    "per_job": "beyond it the agent is ended",
    "per_day": "beyond it no job starts until the next day, UTC",
}
_UNMETERED = "its executor does not say what its agents use, so nothing holds them to it"


def limits(words: Limits, root: Node) -> LimitRules:
    """Return the rules of a file's `limits`, with the checks that show them in a decision."""
    rates, checks = [], []
    for name, most in words.running:
        if most is not None:
            line, because = _line(root, "limits", "running", name), "beyond it a job waits in the queue"
            checks.append(Check(f"limit:running.{name}", "limit", Outcome.PASS, line, None, f"{most} running", because))
    for name in get_args(RateName):
        written = getattr(words.rate, name)
        if written is not None:
            line = _line(root, "limits", "rate", name)
            number, _, unit = written.partition("/")
            rates.append(Rate(name, line, written, int(number), int(units.SECONDS[unit] * 1000)))
            checks.append(Check(f"limit:{name}", "limit", Outcome.PASS, line, None, written))
    budgets = {name: Budget(each.turns, each.usd) for name, each in words.budget}
    day_line = _line(root, "limits", "budget", "per_day")
    unmetered = list(checks)
    for name, budget in budgets.items():
        if budget.limits:
            line, check = _line(root, "limits", "budget", name), f"limit:budget.{name}"
            checks.append(Check(check, "limit", Outcome.PASS, line, None, str(budget), _SPENDING[name]))
            # Others may have used up the day, so that still holds.
            outcome, because = (Outcome.PASS, _SPENDING[name]) if name == "per_day" else (Outcome.SKIP, _UNMETERED)
            unmetered.append(Check(check, "limit", outcome, line, None, str(budget), because))
    return LimitRules(
        rates=tuple(rates),
        total=words.running.total,
        per_repo=words.running.per_repo,
        per_job=budgets["per_job"],
        per_day=budgets["per_day"],
        day_line=day_line,
        checks=tuple(checks),
        unmetered=tuple(unmetered),
        unreached=tuple(Check(each.id, "limit", Outcome.UNREACHED, each.line, None, each.wanted) for each in checks),
    )


def _line(root: Node, *path: str) -> int:
    return root.key_at(path)[0]
