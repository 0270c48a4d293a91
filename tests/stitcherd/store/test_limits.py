"""Rate limits, cool-downs and budgets in the store, compared with the plainest way to count."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import format_timestamp
from shared.models import Check, CheckOutcome, Decision, Phase, RunnerJob, StepType, Usage, Verdict
from stitcherd.budget import DAY_MS, Budget, BudgetExceeded
from stitcherd.policy import BotCooldown, JobLimit, LimitUse, RateLimit
from stitcherd.rails.compiled import RateName, RateRule
from stitcherd.rails.limits import (
    BOT_JOBS_FREE,
    apply_uses,
    bot_cooldown,
    daily_budget,
    rate_limit,
    remaining_budget,
    retry_after,
)
from stitcherd.store import deliveries, interruptions, jobs, limits, retention, retries, steps, transitions
from stitcherd.store.limits import LimitsReached
from stitcherd.store.sqlite_connections import WritingConnection
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import add_delivery, dispatch, new_delivery, new_job

NOON = 20_000 * DAY_MS + DAY_MS // 2
ALLOWED = Decision(
    Verdict.ALLOWED,
    "trigger word",
    "r-1",
    checks=tuple(
        Check(f"limit:{name}", "limit", CheckOutcome.PASS, 9) for name in ("per_sender", "loop", "budget.per_day")
    ),
)


def rate(
    name: RateName = "per_sender",
    maximum: int = 2,
    window: int = 3_600_000,
    subject: str = "forge:ann",
    workspace: str = "default",
) -> RateLimit:
    return rate_limit(RateRule(name, 9, "2/h", maximum, window), workspace, subject)


def cooldown(*, bot: bool = True, thread: str = "acme/roof#7 (issue)") -> BotCooldown:
    return bot_cooldown("default", thread, by_bot=bot)


async def add(store: Store, now: int = 0, *wanted: JobLimit) -> RunnerJob:
    return await dispatch(store, new_job(limits=wanted), ALLOWED, now)


async def throttled(store: Store, now: int, *wanted: JobLimit) -> tuple[Decision, int]:
    """The decision on a job beyond its limits, and after how many seconds it may be requested again."""
    job = new_job(limits=wanted)
    reached = await store.write(jobs.dispatch, job, ALLOWED, now)
    assert isinstance(reached, LimitsReached)
    async with store.reading() as db:
        assert await limits.read_uses(db, wanted, now) == reached.uses, "a reader finds the same"
        assert not await db.execute_fetchall("SELECT 1 FROM jobs WHERE id = ?", [job.id])
    return apply_uses(ALLOWED, wanted, reached.uses), retry_after(reached.uses, now)


async def uses(store: Store, now: int, *wanted: JobLimit) -> tuple[LimitUse, ...]:
    async with store.reading() as db:
        return await limits.read_uses(db, wanted, now)


async def test_a_rate_is_used_up_and_then_free_again(store: Store) -> None:
    for at in (1000, 2000):
        await add(store, at, rate())
    decision, seconds = await throttled(store, 3000, rate())
    assert (decision.verdict, seconds) == (Verdict.THROTTLED, 3599)
    until = format_timestamp(3_601_000)
    assert decision.reason == f"limit per_sender: 2/h for forge:ann is used up until {until}"
    assert (decision.checks[0].outcome, decision.checks[0].seen) == (CheckOutcome.FAIL, "2 of 2 by now for forge:ann")
    assert decision.remedy is not None
    assert (decision.remedy.text, decision.remedy.line) == (f"ask again after {until}, or raise per_sender", 9)
    await add(store, 3_601_000, rate())
    await throttled(store, 3_601_001, rate())


async def test_the_decision_of_a_stored_job_shows_how_much_was_used(store: Store) -> None:
    await add(store, 1000, rate(), cooldown())
    job = await add(store, 2000, rate(), cooldown())
    async with store.reading() as db:
        decision = (await jobs.get_job_detail(db, job.id, None)).decision
    assert isinstance(decision, Decision)
    assert decision.checks[0].seen == "1 of 2 by now for forge:ann"
    assert decision.checks[1].seen == "1 in a row on acme/roof#7 (issue)"


async def test_each_subject_and_workspace_is_counted_separately(store: Store) -> None:
    for who, workspace in (("forge:ann", "default"), ("forge:bob", "default"), ("forge:ann", "far")):
        for _ in range(2):
            await add(store, 0, rate(subject=who, workspace=workspace))


async def test_the_tightest_of_several_says_when(store: Store) -> None:
    slow = rate("per_repo", 1, 86_400_000, "acme/roof")
    quick = rate("per_sender", 1)
    await add(store, 0, slow, quick)
    decision, _ = await throttled(store, 0, slow, quick)
    assert decision.reason.startswith("limit per_repo")


@contextmanager
def memory() -> Iterator[WritingConnection]:
    with closing(sqlite3.connect(":memory:", factory=WritingConnection)) as db:
        db.row_factory = sqlite3.Row
        db.execute("CREATE TABLE hits (limit_key TEXT, at INTEGER, job TEXT, PRIMARY KEY (limit_key, at, job))")
        yield db


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.integers(1, 30), st.lists(st.integers(0, 10), max_size=40))
def test_no_window_ever_holds_more_than_the_rate(maximum: int, window: int, gaps: list[int]) -> None:
    limit = rate("per_repo", maximum, window, "acme/roof")
    taken: list[int] = []
    now = 0
    with memory() as db:
        for number, gap in enumerate(gaps):
            now += gap
            (use,) = limits.count_uses(db, (limit,), now)
            recent = [at for at in taken if at > now - window]
            assert use.seen.startswith(f"{len(recent)} of {maximum} ")
            assert (use.free_at is not None) == (len(recent) >= maximum)
            if use.free_at is None:
                limits.count_jobs(db, [(str(number), (limit,), now)])
                taken.append(now)
            else:
                assert use.free_at == recent[0] + window > now
    assert all(sum(at <= other < at + window for other in taken) <= maximum for at in taken)


async def test_of_many_deliveries_at_once_exactly_as_many_as_the_rate_get_a_job(store: Store) -> None:
    stored = await asyncio.gather(
        *(add_delivery(store, new_delivery(received_at=1000), new_job(limits=(rate(maximum=3),))) for _ in range(10))
    )
    assert sum(isinstance(each, deliveries.StoredDelivery) for each in stored) == 3
    assert sum(isinstance(each, LimitsReached) for each in stored) == 7
    async with store.reading() as db:
        assert len((await deliveries.delivery_page(db, deliveries.DeliveryFilter(), 99)).items) == 3


async def test_hits_that_no_window_reaches_are_pruned(store: Store) -> None:
    for at in (1000, 5000):
        await add(store, at, rate())
    assert await store.write(retention.prune_hits, 5000) == 1
    assert (await uses(store, 5000, rate()))[0].seen == "1 of 2 by now for forge:ann"


async def test_bots_that_ask_in_a_row_must_wait_longer_and_longer(store: Store) -> None:
    now, minute = 0, 60_000
    for _ in range(BOT_JOBS_FREE):
        now += minute
        await add(store, now, cooldown())
    for wait in (15, 30, 60, 120, 240, 480):
        free_at = now + wait * minute
        decision, _ = await throttled(store, free_at - 1, cooldown())
        until = format_timestamp(free_at)
        assert decision.verdict is Verdict.THROTTLED
        assert decision.reason.endswith(f"times in a row on acme/roof#7 (issue) and must wait until {until}")
        assert decision.remedy is not None
        assert decision.remedy.text == f"a person asks on the thread, or ask again after {until}"
        await add(store, free_at, cooldown())
        now = free_at


async def test_a_person_who_asks_ends_the_row(store: Store) -> None:
    for now in range(BOT_JOBS_FREE):
        await add(store, now, cooldown())
    await add(store, 5, cooldown(thread="acme/roof#8 (issue)"))
    assert "bots asked 4 times in a row" in (await throttled(store, 6, cooldown()))[0].reason
    await add(store, 7, cooldown(bot=False))
    for now in range(8, 8 + BOT_JOBS_FREE):
        await add(store, now, cooldown())
    assert (await throttled(store, 20, cooldown()))[0].reason.startswith("limit loop")


async def test_a_bot_that_asks_now_and_then_never_has_to_wait(store: Store) -> None:
    for hour in range(0, 200, 7):
        await add(store, hour * 3_600_000, cooldown())


async def started(store: Store, now: int = NOON) -> steps.Fence:
    """The fence of a job that runs."""
    job = await dispatch(store, new_job(on_interrupt="retry"), now=now)
    _, fence = await store.write(transitions.start, job.id, 1, "me", now) or (None, None)
    assert fence is not None
    return fence


async def spend(store: Store, fence: steps.Fence, number: int, usd: float, turns: int = 1, now: int = NOON) -> None:
    place = await store.write(
        steps.open_step, fence, now, phase=Phase.EXECUTION, type_=StepType.AI_ACTION, name="claw", number=number
    )
    await store.write(steps.add_usage, fence, place, Usage(1, 1, usd, turns), now)


async def remaining(store: Store, fence: steps.Fence, number: int, now: int = NOON, **budgets: Budget) -> Budget:
    """What a try may use of the budgets `job` and `day`."""
    budget = {"job": Budget(), "day": Budget()} | budgets
    async with store.reading() as db:
        by_job, today = await limits.spent_before(db, (fence.key, fence.attempt, number), now)
    return remaining_budget(budget["job"], budget["day"], by_job, today, now)


async def test_a_try_may_use_what_earlier_tries_left(store: Store) -> None:
    fence, job = await started(store), Budget(turns=5, usd=2.0)
    assert await remaining(store, fence, 1, job=job) == job
    await spend(store, fence, 1, 0.5, 2)
    assert await remaining(store, fence, 1, job=job) == job, "its own usage does not count when it is resumed"
    assert await remaining(store, fence, 2, job=job) == Budget(3, 1.5)
    await spend(store, fence, 2, 0.1, 3)
    with pytest.raises(BudgetExceeded, match=r"^the job's budget of 5 turns is used up$"):
        await remaining(store, fence, 3, job=job)


async def test_a_recovered_attempt_shares_the_budget_and_a_retry_renews_it(store: Store) -> None:
    fence, job = await started(store), Budget(usd=2.0)
    await spend(store, fence, 1, 1.5)
    await store.write(steps.begin_try, fence, 1, NOON, steps.TryStart())
    await store.write(interruptions.recover, fence.job_id, (1, fence.owner), NOON)
    _, again = await store.write(transitions.start, fence.job_id, 2, "me", NOON) or (None, None)
    assert again is not None
    assert await remaining(store, again, 1, job=job) == Budget(usd=0.5)
    await store.write(transitions.cancel, fence.job_id, "uid:1", None, NOON)
    await store.write(transitions.end_cancelled, fence.job_id, NOON)
    await store.write(retries.retry, fence.job_id, "uid:1", NOON)
    _, third = await store.write(transitions.start, fence.job_id, 3, "me", NOON) or (None, None)
    assert third is not None
    assert await remaining(store, third, 1, job=job) == job


async def test_the_daily_budget_is_shared_by_all_jobs_until_midnight(store: Store) -> None:
    first, second, day = await started(store), await started(store), Budget(usd=2.0)
    await spend(store, first, 1, 1.25)
    assert await remaining(store, second, 1, day=day) == Budget(usd=0.75)
    assert await remaining(store, second, 1, day=day, job=Budget(usd=0.5)) == Budget(usd=0.5)
    await spend(store, first, 1, 1.0)
    midnight = format_timestamp(20_001 * DAY_MS)
    with pytest.raises(BudgetExceeded, match=f"^the day's budget of 2 USD is used up until {midnight}$"):
        await remaining(store, second, 1, day=day)
    assert await remaining(store, second, 1, now=20_001 * DAY_MS, day=day) == day


async def test_a_job_beyond_the_daily_budget_is_throttled_and_told_until_when(store: Store) -> None:
    day = daily_budget(Budget(usd=2.0), 9)
    fence = await started(store)
    await spend(store, fence, 1, 1.25)
    seen = apply_uses(ALLOWED, (day,), await uses(store, NOON, day)).checks[-1]
    assert (seen.outcome, seen.seen) == (CheckOutcome.PASS, "1.25 of 2 USD today")
    await spend(store, fence, 1, 0.75)
    midnight = format_timestamp(20_001 * DAY_MS)
    decision, seconds = await throttled(store, NOON, day)
    assert (decision.verdict, seconds) == (Verdict.THROTTLED, DAY_MS // 2 // 1000 + 1)
    assert decision.reason == f"limit budget.per_day: 2 USD are used up until {midnight}"
    assert decision.remedy is not None
    assert (decision.remedy.text, decision.remedy.line) == (f"ask again after {midnight}, or raise budget.per_day", 9)
    assert decision.checks[-1].outcome is CheckOutcome.FAIL
    await add(store, 20_001 * DAY_MS, day)
