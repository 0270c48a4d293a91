"""Limits: which account is a bot, what a budget leaves, and what a reached limit says."""

import pytest

from shared.ids import format_timestamp
from shared.models import Check, CheckOutcome, Decision, Remedy, Thread, Verdict
from stitcherd.budget import DAY_MS, Budget, BudgetExceeded, DailyBudgetExceeded, Spent
from stitcherd.policy import BotCooldown, DailyBudget, LimitUse, RateLimit
from stitcherd.rails import limits
from stitcherd.rails.compiled import LimitRules, RateRule
from stitcherd.rails.limits import is_bot

RULES = LimitRules(
    rates=(
        RateRule("per_sender", 9, "2/h", 2, 3_600_000),
        RateRule("per_repo", 10, "9/d", 9, DAY_MS),
        RateRule("per_thread", 11, "1/h", 1, 3_600_000),
    ),
    per_day=Budget(usd=2.0),
    day_line=12,
)
THREAD = Thread("issue", 7)
ALLOWED = Decision(
    Verdict.ALLOWED,
    "trigger word",
    "r-1",
    checks=tuple(
        Check(f"limit:{name}", "limit", CheckOutcome.PASS)
        for name in ("per_sender", "per_repo", "per_thread", "budget.per_day", "loop")
    ),
)


def test_a_job_counts_against_what_is_known_of_it() -> None:
    found = limits.job_limits(RULES, "lab", "forge:Ann", "acme/Roof", THREAD)
    assert [limit.name for limit in found] == ["per_sender", "per_repo", "per_thread", "budget.per_day", "loop"]
    assert [limit.key for limit in found if not isinstance(limit, DailyBudget)] == [
        "lab per_sender forge:ann",
        "lab per_repo acme/roof",
        "lab per_thread acme/roof#7 (issue)",
        "lab loop acme/roof#7 (issue)",
    ]
    assert [limit.name for limit in limits.job_limits(RULES, "lab", None, "acme/roof")] == [
        "per_repo",
        "budget.per_day",
    ]
    assert limits.job_limits(LimitRules(), "lab", "forge:ann", None) == ()


def test_a_decision_shows_how_much_is_used_and_fails_where_a_limit_is_reached() -> None:
    found = limits.job_limits(RULES, "lab", "forge:ann", "acme/roof", THREAD)
    free = tuple(LimitUse(limit.name, f"1 {limit.seen}", 1) for limit in found)
    decision = limits.apply_uses(ALLOWED, found, free)
    assert (decision.verdict, decision.reason, decision.remedy) == (Verdict.ALLOWED, "trigger word", None)
    assert decision.checks[0].seen == "1 of 2 by now for forge:ann"
    reached = (LimitUse("per_sender", "2 of 2", 2, free_at=5000), free[1], *free[2:])
    decision = limits.apply_uses(ALLOWED, found, reached)
    assert [check.outcome for check in decision.checks] == [CheckOutcome.FAIL, *[CheckOutcome.PASS] * 4]
    assert decision.verdict is Verdict.THROTTLED
    until = format_timestamp(5000)
    assert decision.reason == f"limit per_sender: 2/h for forge:ann is used up until {until}"
    assert decision.remedy == Remedy(f"ask again after {until}, or raise per_sender", 9)
    assert limits.retry_after(reached, 1000) == 5


def test_of_several_limits_the_one_that_is_free_last_is_named() -> None:
    found = limits.job_limits(RULES, "lab", "forge:bot-7", "acme/roof", THREAD)
    assert [type(limit) for limit in found[-2:]] == [DailyBudget, BotCooldown]
    assert isinstance(found[0], RateLimit)
    used = tuple(LimitUse(limit.name, "", 4, Spent(usd=2.5), 1000 * at) for at, limit in enumerate(found, 1))
    until = format_timestamp(5000)
    said = f"limit loop: bots asked 4 times in a row on acme/roof#7 (issue) and must wait until {until}"
    assert limits.apply_uses(ALLOWED, found, used).reason == said
    day = limits.apply_uses(ALLOWED, found[:4], used[:4])
    assert day.reason == f"limit budget.per_day: 2 USD are used up until {format_timestamp(4000)}"


def test_a_try_may_use_what_both_budgets_leave() -> None:
    assert limits.remaining_budget(Budget(5, 2.0), Budget(usd=1.0), Spent(2, 0.5), Spent(), 0) == Budget(3, 1.0)
    with pytest.raises(BudgetExceeded, match=r"^the job's budget of 5 turns is used up$"):
        limits.remaining_budget(Budget(5), Budget(), Spent(5), Spent(), 0)
    until = format_timestamp(DAY_MS)
    with pytest.raises(DailyBudgetExceeded, match=f"^the day's budget of 2 USD is used up until {until}$"):
        limits.remaining_budget(Budget(), Budget(usd=2.0), Spent(), Spent(usd=2.0), 7)


@pytest.mark.parametrize(
    ("account", "bot"),
    [
        ("github:renovate[bot]", True),
        ("gitlab:project_7_bot_9f2c", True),
        ("gitlab:group_12_bot", True),
        ("gitea:renovate-bot", True),
        ("gitea:gitea-actions", True),
        ("github:octocat", False),
        ("github:abbot", False),
        ("github:bottle", False),
        ("github:robotics-fan", False),
        (None, False),
    ],
)
def test_a_bot_is_recognised_by_its_name(account: str | None, bot: bool) -> None:
    assert is_bot(account) is bot
