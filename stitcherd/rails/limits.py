"""From the words of `limits` to the rules that are in force, and how a decision shows them; it counts nothing."""

import re
from typing import get_args

from shared import units
from shared.models import Check, CheckOutcome
from stitcherd.budget import Budget
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.rails.compiled import LimitRules, RateName, RateRule
from stitcherd.rails.schema import LimitsSpec

# merged from stitcherd.rails.loops: Which accounts are bots, as far as their names tell: bots that ask in a
# row on one thread must rest.

_SPENDING = {
    "per_job": "beyond it the agent is ended",
    "per_day": "beyond it no job starts until the next day, UTC",
}
_UNMETERED = "its executor does not say what its agents use, so nothing holds them to it"


def compile_limits(words: LimitsSpec, root: YamlNode) -> LimitRules:
    """Return the rules of a file's `limits`, with the checks that show them in a decision."""
    rates, checks = [], []
    for name, most in words.running:
        if most is not None:
            line, because = _line(root, "limits", "running", name), "beyond it a job waits in the queue"
            checks.append(
                Check(f"limit:running.{name}", "limit", CheckOutcome.PASS, line, None, f"{most} running", because)
            )
    for name in get_args(RateName):
        written = getattr(words.rate, name)
        if written is not None:
            line = _line(root, "limits", "rate", name)
            number, _, unit = written.partition("/")
            rates.append(RateRule(name, line, written, int(number), int(units.SECONDS[unit] * 1000)))
            checks.append(Check(f"limit:{name}", "limit", CheckOutcome.PASS, line, None, written))
    budgets = {name: Budget(each.turns, each.usd) for name, each in words.budget}
    day_line = _line(root, "limits", "budget", "per_day")
    unmetered = list(checks)
    for name, budget in budgets.items():
        if budget.limits:
            line, check = _line(root, "limits", "budget", name), f"limit:budget.{name}"
            checks.append(Check(check, "limit", CheckOutcome.PASS, line, None, str(budget), _SPENDING[name]))
            # Others may have used up the day, so that still holds.
            outcome, because = (
                (CheckOutcome.PASS, _SPENDING[name]) if name == "per_day" else (CheckOutcome.SKIP, _UNMETERED)
            )
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
        unreached=tuple(
            Check(each.id, "limit", CheckOutcome.UNREACHED, each.line, None, each.wanted) for each in checks
        ),
    )


def _line(root: YamlNode, *path: str) -> int:
    return root.key_at(path)[0]


COOLDOWN_CHECK = Check(
    "limit:loop", "limit", CheckOutcome.PASS, None, None, "few in a row", "a bot asks: the next ones wait longer"
)
COOLDOWN_UNREACHED = Check("limit:loop", "limit", CheckOutcome.UNREACHED, None, None, COOLDOWN_CHECK.wanted)

# GitHub's apps end with [bot]; GitLab's tokens are project_7_bot_9f2c; others are named by their owners.
_BOT = re.compile(
    r"\[bot\]\Z|(?:^|[-_.])(?:ro)?bots?(?:[-_.][0-9a-f]+)?\Z|\A(?:gitea|forgejo|github)-actions\Z", re.IGNORECASE
)


def is_bot(account: str | None) -> bool:
    """Say whether an account is a bot's; a person's that looks like one is held up by nothing but a rest."""
    return account is not None and _BOT.search(account.partition(":")[2]) is not None
