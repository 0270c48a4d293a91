"""Limits: compiles the rules, decides what a reached limit means for a job, and words it; counts nothing.

Rate limits, the daily budget and the cool-down of bots apply to a job when it is requested. Limits of concurrency, the
daily budget and a pause apply when it is about to start, and budgets to each of its tries.
"""

import re
from collections.abc import Mapping
from typing import get_args

from msgspec.structs import replace

from shared import units
from shared.ids import format_timestamp
from shared.models import Check, CheckOutcome, Decision, Remedy, Thread, Verdict
from stitcherd.budget import DAY_MS, Budget, BudgetExceeded, DailyBudgetExceeded, Spent, next_day
from stitcherd.config.yaml_nodes import YamlNode
from stitcherd.policy import (
    BotCooldown,
    ConcurrencyLimits,
    DailyBudget,
    HeldReasons,
    JobLimit,
    LimitUse,
    RateLimit,
    with_uses,
)
from stitcherd.rails.compiled import CompiledRails, LimitRules, RateName, RateRule
from stitcherd.rails.schema import LimitsSpec

BOT_JOBS_FREE = 4  # jobs that bots may request in a row on one thread
BOT_COOLDOWN_MS = 900_000  # between the last of these and the next one, and twice as long with each further one
COOLDOWN_CHECK = Check(
    "limit:loop", "limit", CheckOutcome.PASS, None, None, "few in a row", "a bot asks: the next ones wait longer"
)
COOLDOWN_UNREACHED = Check("limit:loop", "limit", CheckOutcome.UNREACHED, None, None, COOLDOWN_CHECK.wanted)
HELD_REASONS = HeldReasons(
    paused="paused: `stitcher resume` lets it start",
    total="limit: {total} running in all",
    per_repo="limit: {per_repo} running on {repository}",
    daily_budget="limit: the day's budget of {budget} is used up until {until}",
)

_SPENDING = {
    "per_job": "beyond it the agent is ended",
    "per_day": "beyond it no job starts until the next day, UTC",
}
_UNMETERED = "its executor does not report usage, so it is not enforced"
# GitHub's apps end with [bot]; GitLab's tokens are project_7_bot_9f2c; others are named by their owners.
_BOT = re.compile(
    r"\[bot\]\Z|(?:^|[-_.])(?:ro)?bots?(?:[-_.][0-9a-f]+)?\Z|\A(?:gitea|forgejo|github)-actions\Z", re.IGNORECASE
)


def compile_limits(spec: LimitsSpec, root: YamlNode) -> LimitRules:
    """Return the rules of the `limits` of a rails file, with the checks that show them in a decision."""
    rates, checks = [], []
    for name, most in spec.running:
        if most is not None:
            line, because = _line(root, "limits", "running", name), "beyond it a job waits in the queue"
            checks.append(
                Check(f"limit:running.{name}", "limit", CheckOutcome.PASS, line, None, f"{most} running", because)
            )
    for name in get_args(RateName):
        written = getattr(spec.rate, name)
        if written is not None:
            line = _line(root, "limits", "rate", name)
            number, _, unit = written.partition("/")
            rates.append(RateRule(name, line, written, int(number), int(units.SECONDS[unit] * 1000)))
            checks.append(Check(f"limit:{name}", "limit", CheckOutcome.PASS, line, None, written))
    budgets = {name: Budget(each.turns, each.usd) for name, each in spec.budget}
    day_line = _line(root, "limits", "budget", "per_day")
    unmetered = list(checks)
    for name, budget in budgets.items():
        if budget.limits:
            line, check = _line(root, "limits", "budget", name), f"limit:budget.{name}"
            checks.append(Check(check, "limit", CheckOutcome.PASS, line, None, str(budget), _SPENDING[name]))
            # Metered jobs may have used up the day, so that one still applies.
            outcome, because = (
                (CheckOutcome.PASS, _SPENDING[name]) if name == "per_day" else (CheckOutcome.SKIP, _UNMETERED)
            )
            unmetered.append(Check(check, "limit", outcome, line, None, str(budget), because))
    return LimitRules(
        rates=tuple(rates),
        total=spec.running.total,
        per_repo=spec.running.per_repo,
        per_job=budgets["per_job"],
        per_day=budgets["per_day"],
        day_line=day_line,
        checks=tuple(checks),
        unmetered=tuple(unmetered),
        unreached=tuple(
            Check(each.id, "limit", CheckOutcome.UNREACHED, each.line, None, each.wanted) for each in checks
        ),
    )


def job_limits(
    rules: LimitRules, workspace: str, sender: str | None, repository: str | None, thread: Thread | None = None
) -> tuple[JobLimit, ...]:
    """Return the limits that a job counts against: the rate limits, the daily budget, the cool-down of bots."""
    here = f"{repository}#{thread.number} ({thread.kind})" if repository and thread else None
    subjects = {"per_sender": sender, "per_repo": repository, "per_thread": here}
    limits: list[JobLimit] = [
        rate_limit(rate, workspace, subject) for rate in rules.rates if (subject := subjects[rate.name]) is not None
    ]
    if rules.per_day.limits:
        limits.append(daily_budget(rules.per_day, rules.day_line))
    if here is not None:
        limits.append(bot_cooldown(workspace, here, by_bot=is_bot(sender)))
    return tuple(limits)


def rate_limit(rate: RateRule, workspace: str, subject: str) -> RateLimit:
    """Return a rate limit as it applies to one subject: a sender, a repository or a thread."""
    subject = subject.lower()
    return RateLimit(
        name=rate.name,
        key=f"{workspace} {rate.name} {subject}",
        maximum=rate.most,
        window=rate.window,
        seen=f"of {rate.most} by now for {subject}",
        line=rate.line,
        written=rate.written,
        subject=subject,
    )


def daily_budget(budget: Budget, line: int) -> DailyBudget:
    """Return the budget that all jobs share each day; `line` is that of the rails."""
    return DailyBudget(name="budget.per_day", budget=budget, seen="today", line=line)


def bot_cooldown(workspace: str, thread: str, *, by_bot: bool) -> BotCooldown:
    """Return the cool-down of a thread; all bots count together, because they may be answering each other."""
    thread = thread.lower()
    return BotCooldown(
        name="loop",
        key=f"{workspace} loop {thread}",
        by_bot=by_bot,
        free=BOT_JOBS_FREE,
        cooldown=BOT_COOLDOWN_MS,
        longest=DAY_MS,
        seen=f"in a row on {thread}",
        thread=thread,
    )


def apply_uses(decision: Decision, limits: tuple[JobLimit, ...], uses: tuple[LimitUse, ...]) -> Decision:
    """Return a decision with how much of its limits is used; throttled where one of them is reached.

    Of several that are reached, the one that is free last gives the reason and the remedy.
    """
    decision = with_uses(decision, uses)
    reached = [(use.free_at, limit, use) for limit, use in zip(limits, uses, strict=True) if use.free_at is not None]
    if not reached:
        return decision
    failed = {f"limit:{use.name}" for _, _, use in reached}
    checks = (replace(check, outcome=CheckOutcome.FAIL) if check.id in failed else check for check in decision.checks)
    free_at, limit, use = max(reached, key=lambda each: each[0])
    reason, remedy = _reached(limit, use, format_timestamp(free_at))
    return replace(decision, verdict=Verdict.THROTTLED, reason=reason, remedy=remedy, checks=tuple(checks))


def retry_after(uses: tuple[LimitUse, ...], now: int) -> int:
    """Return in how many seconds all limits are free again; `now` in ms."""
    return max((use.free_at or now) - now for use in uses) // 1000 + 1


def concurrency_limits(
    rules: LimitRules | None = None,
    unreachable: Mapping[str, str] | None = None,
    stopped: str | None = None,
    rails_digest: str | None = None,
) -> ConcurrencyLimits:
    """Return what may run at the same time.

    `unreachable` says by name of an executor why it cannot be reached, `stopped` why no job may start at all.
    `rails_digest` is that of the rails in force.
    """
    rules = rules or LimitRules()
    return ConcurrencyLimits(
        reasons=HELD_REASONS,
        total=rules.total,
        per_repo=rules.per_repo,
        unreachable={name: unreachable_reason(name, why) for name, why in (unreachable or {}).items()},
        daily_budget=rules.per_day,
        stopped=stopped,
        rails_digest=rails_digest,
    )


def idle_reason(rails: CompiledRails | None) -> str | None:
    """Return why no job may start under the rails in force, None where jobs may."""
    if rails is None:
        return "no rails are in force: `stitcher rails show` says why"
    return "the rails in force only observe" if rails.mode == "observe" else None


def unreachable_reason(executor: str, why: str) -> str:
    """Return the reason for which a job waits until its executor can be reached."""
    return f"executor {executor}: {why}"


def remaining_budget(job: Budget, day: Budget, by_job: Spent, today: Spent, now: int) -> Budget:
    """Return what a try may use, from the budgets of its job and of the day and what is spent of each.

    Raises BudgetExceeded where a budget leaves nothing, DailyBudgetExceeded where that is the one of the day.
    """
    if used_up := job.used_up(by_job):
        raise BudgetExceeded(f"the job's budget of {used_up} is used up")
    if used_up := day.used_up(today):
        raise DailyBudgetExceeded(f"the day's budget of {used_up} is used up until {format_timestamp(next_day(now))}")
    return job.less(by_job).within(day.less(today))


def is_bot(account: str | None) -> bool:
    """Say whether an account looks like a bot's; if a person's does, it is only subject to the cool-down."""
    return account is not None and _BOT.search(account.partition(":")[2]) is not None


def _reached(limit: JobLimit, use: LimitUse, until: str) -> tuple[str, Remedy]:
    """Return the reason and the remedy of a limit that is reached."""
    if isinstance(limit, RateLimit):
        reason = f"limit {limit.name}: {limit.written} for {limit.subject} is used up until {until}"
    elif isinstance(limit, DailyBudget):
        reason = f"limit {limit.name}: {limit.budget.used_up(use.spent)} are used up until {until}"
    else:
        reason = (
            f"limit {limit.name}: bots asked {use.count} times in a row on {limit.thread} and must wait until {until}"
        )
        return reason, Remedy(f"a person asks on the thread, or ask again after {until}")
    return reason, Remedy(f"ask again after {until}, or raise {limit.name}", limit.line)


def _line(root: YamlNode, *path: str) -> int:
    return root.key_at(path)[0]
