"""Budgets of jobs and days, in the store and before a real daemon with a fake gateway."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import format_timestamp, new_id, now_ms
from shared.models import Check, CheckOutcome, Decision, Phase, StepType, Usage, Verdict
from stitcherd.budget import Budget, BudgetExceeded, Spent
from stitcherd.errors import Refusal
from stitcherd.policy import ConcurrencyLimits
from stitcherd.store import interruptions, jobs, limits, scheduling, steps, transitions
from stitcherd.store.limits import DAY_MS, DailyBudget
from stitcherd.store.sqlite import Store
from tests.e2e.harness import DaemonHarness, wait_until
from tests.stitcherd.executors.openclaw.threaded_gateway import ThreadedGateway, daemon_with, script

NIGHT = 60_000  # milliseconds: longer than any walk of these
NOON = 20_000 * DAY_MS + DAY_MS // 2
CHECK = Check("limit:budget.per_day", "limit", CheckOutcome.PASS, 9, None, "2 USD")
ALLOWED = Decision(Verdict.ALLOWED, "trigger word", "r-1", checks=(CHECK,))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "stitcher.db")
    yield store
    await store.close()


def new_job(**more: Any) -> jobs.NewJob:
    usual: dict[str, Any] = dict.fromkeys(("repository", "ref", "thread"))
    usual |= {"workspace": "default", "type": "fix", "profile": "p", "executor": "claw", "priority": 5, "prompt": "x"}
    usual |= {
        "metadata": {},
        "tries_max": 9,
        "on_interrupt": "retry",
        "rails_revision": "r-1",
        "actor": "uid:1",
        "origin": {},
    }
    return jobs.NewJob(id=new_id(), **usual | more)


async def claimed(store: Store, now: int = NOON, slots: ConcurrencyLimits | None = None) -> steps.Fence:
    job, _ = await store.write(jobs.dispatch, new_job(), ALLOWED, now)
    found = await store.write(scheduling.claim, job.id, 1, "me", now, slots or ConcurrencyLimits())
    assert isinstance(found, tuple)
    return found[1]


async def use(store: Store, mine: steps.Fence, number: int, usd: float, turns: int = 1, now: int = NOON) -> None:
    place = await store.write(
        steps.open_step, mine, now, phase=Phase.EXECUTION, type_=StepType.AI_ACTION, name="claw", number=number
    )
    await store.write(steps.add_usage, mine, place, Usage(1, 1, usd, turns), now)


async def rest(store: Store, mine: steps.Fence, number: int, now: int = NOON, **budgets: Budget) -> Budget:
    place = (mine.key, mine.attempt, number)
    budget = {"job": Budget(), "day": Budget()} | budgets
    return await store.write(limits.remaining_budget, place, budget["job"], budget["day"], now)


async def test_a_try_has_what_the_tries_before_it_left(store: Store) -> None:
    mine, job = await claimed(store), Budget(turns=5, usd=2.0)
    assert await rest(store, mine, 1, job=job) == job
    await use(store, mine, 1, 0.5, 2)
    assert await rest(store, mine, 1, job=job) == job, "its own counts again when it is gone on with"
    assert await rest(store, mine, 2, job=job) == Budget(3, 1.5)
    await use(store, mine, 2, 0.1, 3)
    with pytest.raises(BudgetExceeded, match=r"^the job's budget of 5 turns is used up$"):
        await rest(store, mine, 3, job=job)


async def test_what_recovery_begins_shares_the_budget_and_a_retry_has_it_anew(store: Store) -> None:
    mine, job = await claimed(store), Budget(usd=2.0)
    await use(store, mine, 1, 1.5)
    await store.write(steps.begin_try, mine, 1, NOON)
    await store.write(interruptions.recover, mine.job_id, NOON)
    _, again = await store.write(transitions.start, mine.job_id, 2, "me", NOON) or (None, None)
    assert again is not None
    assert await rest(store, again, 1, job=job) == Budget(usd=0.5)
    await store.write(transitions.cancel, mine.job_id, "uid:1", None, NOON)
    await store.write(transitions.end_cancelled, mine.job_id, NOON)
    await store.write(transitions.retry, mine.job_id, "uid:1", NOON)
    _, third = await store.write(transitions.start, mine.job_id, 3, "me", NOON) or (None, None)
    assert third is not None
    assert await rest(store, third, 1, job=job) == job


async def test_a_day_is_shared_by_all_jobs_and_ends_at_midnight(store: Store) -> None:
    first, second, day = await claimed(store), await claimed(store), Budget(usd=2.0)
    await use(store, first, 1, 1.25)
    assert await rest(store, second, 1, day=day) == Budget(usd=0.75)
    assert await rest(store, second, 1, day=day, job=Budget(usd=0.5)) == Budget(usd=0.5)
    await use(store, first, 1, 1.0)
    midnight = format_timestamp(20_001 * DAY_MS)
    with pytest.raises(BudgetExceeded, match=f"^the day's budget of 2 USD is used up until {midnight}$"):
        await rest(store, second, 1, day=day)
    assert await rest(store, second, 1, now=20_001 * DAY_MS, day=day) == day


async def test_beyond_the_day_no_job_begins_and_each_says_until_when(store: Store) -> None:
    slots, midnight = ConcurrencyLimits(day=Budget(usd=2.0)), 20_001 * DAY_MS
    early, _ = await store.write(jobs.dispatch, new_job(), ALLOWED, NOON)
    await use(store, await claimed(store, slots=slots), 1, 2.5)
    held = await store.write(scheduling.claim, early.id, 1, "me", NOON, slots)
    assert held == scheduling.Held(f"limit: the day's budget of 2 USD is used up until {format_timestamp(midnight)}")
    assert await store.write(scheduling.find_startable, slots, 4, midnight - 1) == (True, [])
    assert (await store.write(scheduling.find_startable, ConcurrencyLimits(day=Budget(usd=3.0)), 4, NOON))[1] == [
        (early.id, 1, 5)
    ]
    assert (await store.write(scheduling.find_startable, slots, 4, midnight))[1] == [(early.id, 1, 5)]
    assert isinstance(await store.write(scheduling.claim, early.id, 1, "me", midnight, slots), tuple)


async def test_who_asks_beyond_the_day_is_throttled_and_told_when(store: Store) -> None:
    day = DailyBudget(Budget(usd=2.0), 9)
    mine = await claimed(store)
    await use(store, mine, 1, 1.25)
    (seen,) = limits.apply_limits(ALLOWED, await store.write(limits.read_uses, (day,), NOON)).checks
    assert (seen.outcome, seen.seen) == (CheckOutcome.PASS, "1.25 of 2 USD today")
    await use(store, mine, 1, 0.75)
    midnight = format_timestamp(20_001 * DAY_MS)
    with pytest.raises(Refusal) as refused:
        await store.write(jobs.dispatch, new_job(limits=(day,)), ALLOWED, NOON)
    assert (refused.value.code, refused.value.retry_after) == ("throttled", DAY_MS // 2 // 1000 + 1)
    assert refused.value.detail == f"limit budget.per_day: 2 USD are used up until {midnight}"
    decision = refused.value.more["decision"]
    assert decision["remedy"] == {"text": f"ask again after {midnight}, or raise budget.per_day", "line": 9}
    assert decision["checks"][0]["outcome"] == "fail"
    await store.write(jobs.dispatch, new_job(limits=(day,)), ALLOWED, 20_001 * DAY_MS)


amounts = st.none() | st.integers(1, 20)
budgets = st.builds(Budget, amounts, amounts.map(lambda cents: None if cents is None else cents / 4))


@given(budgets, budgets, st.integers(0, 30), st.integers(0, 30))
def test_no_part_of_a_budget_is_exceeded_by_what_is_left(one: Budget, two: Budget, turns: int, cents: int) -> None:
    spent = Spent(turns, cents / 4)
    left = one.less(spent).within(two)
    for budget in (one.less(spent), two):
        assert budget.turns is None or (left.turns is not None and left.turns <= budget.turns)
        assert budget.usd is None or (left.usd is not None and left.usd <= budget.usd)
    over = (one.turns is not None and turns >= one.turns) or (one.usd is not None and cents / 4 >= one.usd)
    assert (one.used_up(spent) is not None) == over


@pytest.fixture
def gateway() -> Iterator[ThreadedGateway]:
    apart = ThreadedGateway()
    yield apart
    apart.end()


@pytest.fixture
def house(gateway: ThreadedGateway, tmp_path: Path) -> Iterator[DaemonHarness]:
    left = limits.next_day_ms(now_ms()) - now_ms()
    if left < NIGHT:  # a walk over midnight would find a new day
        time.sleep(left / 1000)
    built = daemon_with(gateway, tmp_path)
    built.rails.write_text(built.rails.read_text() + "limits: {budget: {per_job: {usd: 1}, per_day: {usd: 2.5}}}\n")
    yield built
    built.remove()


@pytest.mark.walk
def test_a_job_and_a_day_are_held_over_a_restart(gateway: ThreadedGateway, house: DaemonHarness) -> None:
    house.start()
    said = house.get("/rails")["warnings"]
    line = house.rails.read_text().count("\n")
    assert [(it["line"], it["message"].partition(":")[0]) for it in said] == [
        (line, "per_job does not count what agents of executor agent use"),
        (line, "per_day does not count what agents of executor agent use"),
    ]
    first = house.wait(house.dispatch("read", script(["use", 1, 1, 0.75])))
    checks = {it["id"]: it for it in first["decision"]["checks"]}
    assert (first["status"], checks["limit:budget.per_job"]["outcome"]) == ("COMPLETED", "pass")
    assert checks["limit:budget.per_day"]["seen"] == "0.00 of 2.5 USD today"
    over = house.wait(house.dispatch("read", script(["use", 1, 1, 1.25], ["hold"])), "FAILED")
    assert over["error"]["code"] == "budget_exceeded"
    assert over["error"]["detail"] == "The agent has used 1.25 USD, and its budget is 1 USD."
    local = house.wait(house.dispatch("local"))
    skipped = {it["id"]: it for it in local["decision"]["checks"]}["limit:budget.per_job"]
    assert (skipped["outcome"], skipped["because"][:12]) == ("skip", "its executor")
    house.kill()
    house.start()
    rest = house.wait(house.dispatch("read", script(["use", 1, 1, 0.625], ["hold"])), "FAILED")
    assert rest["error"]["detail"] == "The agent has used 0.625 USD, and its budget is 0.5 USD."
    reply = house.ask("POST", "/runner-jobs", {"type": "read", "prompt": "x"})
    assert (reply.status, reply.json["code"]) == (429, "throttled")
    assert reply.json["detail"].startswith("limit budget.per_day: 2.5 USD are used up until 20")


@pytest.mark.walk
def test_a_job_that_was_allowed_before_the_day_was_used_up_waits(
    gateway: ThreadedGateway, house: DaemonHarness
) -> None:
    text = house.rails.read_text().replace("per_job: {usd: 1}, ", "")
    house.rails.write_text(text.replace("limits: {", "limits: {running: {total: 1}, "))
    house.start()
    spender = house.dispatch("read", script(["hold"], ["use", 1, 1, 2.5]))
    wait_until(lambda: gateway.started, "it runs")
    waiting = house.dispatch("read", script(["say", "hello"]))
    wait_until(lambda: house.job(waiting)["held"], "it waits for the other")
    gateway.let_go()
    house.wait(spender, "COMPLETED")
    held = wait_until(lambda: "day" in str((job := house.job(waiting))["held"]) and job, "it says what holds it")
    assert held["held"].startswith("limit: the day's budget of 2.5 USD is used up until 20")
    house.rails.write_text(house.rails.read_text().replace("usd: 2.5", "usd: 3"))
    assert house.wait(waiting)["status"] == "COMPLETED"
