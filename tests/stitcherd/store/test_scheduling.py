"""Which queued jobs may start: limits of running jobs, the pause, unreachable executors, the daily budget."""

from typing import Any

from shared.api import PauseState
from shared.ids import format_timestamp
from shared.models import RunnerJob, Status, Usage
from stitcherd.budget import DAY_MS, Budget
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails.compiled import LimitRules
from stitcherd.rails.limits import HELD_REASONS, concurrency_limits
from stitcherd.store import jobs, scheduling, transitions
from stitcherd.store.limits import add_spending
from stitcherd.store.steps import Claimed
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

NOON = 20_000 * DAY_MS + DAY_MS // 2


async def add(store: Store, now: int = 0, **more: Any) -> RunnerJob:
    return await dispatch(store, new_job(**{"repository": "acme/roof", **more}), now=now)


def running(**rules: Any) -> ConcurrencyLimits:
    return concurrency_limits(LimitRules(**rules))


async def claim(store: Store, job: RunnerJob, limits: ConcurrencyLimits) -> Any:
    return await store.write(scheduling.claim, job.id, job.attempt, "me", 1, limits)


async def pause_state(store: Store) -> PauseState:
    async with store.reading() as db:
        return await scheduling.read_pause_state(db)


async def test_held_jobs_start_by_priority_and_then_by_age(store: Store) -> None:
    first = await add(store)
    assert isinstance(await claim(store, first, running(total=1)), Claimed)
    low, high, also_high = [await add(store, priority=priority) for priority in (1, 9, 9)]
    for job in (low, also_high, high):
        assert await claim(store, job, running(total=1)) == scheduling.Held("limit: 1 running in all", is_new=True)
    assert await store.write(scheduling.find_startable, running(total=1), 4, 1) == (True, [])
    held, up = await store.write(scheduling.find_startable, running(total=3), 4, 1)
    assert (held, [job for job, _, _ in up]) == (True, [high.id, also_high.id])
    assert len((await store.write(scheduling.find_startable, concurrency_limits(), 4, 1))[1]) == 3
    assert len((await store.write(scheduling.find_startable, concurrency_limits(), 1, 1))[1]) == 1


async def test_jobs_of_a_full_repository_are_skipped(store: Store) -> None:
    limits = running(per_repo=1)
    assert isinstance(await claim(store, await add(store), limits), Claimed)
    jobs = [await add(store, repository=name) for name in ("Acme/Roof", "acme/cellar", "acme/cellar")]
    reasons = [await claim(store, job, limits) for job in jobs]
    assert reasons[0] == scheduling.Held("limit: 1 running on Acme/Roof", is_new=True)
    assert isinstance(reasons[1], Claimed)
    assert reasons[2] == scheduling.Held("limit: 1 running on acme/cellar", is_new=True)
    assert await store.write(scheduling.find_startable, limits, 4, 1) == (True, [])
    assert isinstance(await claim(store, await add(store, repository=None), limits), Claimed)


async def test_the_reason_is_stored_with_the_job_and_recorded_once(store: Store) -> None:
    await claim(store, await add(store), running(total=1))
    job = await add(store)
    for _ in range(3):
        await claim(store, job, running(total=1))
    async with store.reading() as db:
        found = await jobs.get_job_detail(db, job.id, None)
    assert (found.held, found.status, found.version) == ("limit: 1 running in all", Status.QUEUED, job.version + 1)
    assert isinstance(found.events, tuple)
    assert [event.payload for event in found.events if "held" in event.payload] == [
        {"attempt": 1, "held": "limit: 1 running in all"}
    ]
    claimed = await claim(store, job, running(total=2))
    assert (claimed.job.held, claimed.job.status) == (None, Status.RUNNING)
    assert await claim(store, job, concurrency_limits()) is None


async def test_nothing_starts_while_paused(store: Store) -> None:
    first, second = await add(store), await add(store)
    await claim(store, first, concurrency_limits())
    await store.write(scheduling.pause, "uid:1", "a release", 5)
    paused = await pause_state(store)
    assert (paused.paused, paused.actor, paused.reason, paused.running) == (True, "uid:1", "a release", (first.id,))
    await store.write(scheduling.pause, "uid:2", None, 6)
    assert await pause_state(store) == paused
    assert await claim(store, second, concurrency_limits()) == scheduling.Held(HELD_REASONS.paused, is_new=True)
    assert await store.write(scheduling.find_startable, concurrency_limits(), 4, 1) == (True, [])
    await store.write(scheduling.resume)
    resumed = await pause_state(store)
    assert (resumed.paused, resumed.queued) == (False, 1)
    full = running(total=1)
    assert (await store.write(scheduling.find_startable, full, 4, 1))[1] == [(second.id, 1, 5)], (
        "to say what else holds it"
    )
    assert await claim(store, second, full) == scheduling.Held("limit: 1 running in all", is_new=True)
    assert await store.write(scheduling.find_startable, full, 4, 1) == (True, [])
    assert (await store.write(scheduling.find_startable, concurrency_limits(), 4, 1))[1] == [(second.id, 1, 5)]
    assert isinstance(await claim(store, second, concurrency_limits()), Claimed)
    assert await store.write(scheduling.find_startable, concurrency_limits(), 4, 1) == (False, [])


async def test_a_cancelled_job_is_no_longer_held(store: Store) -> None:
    await store.write(scheduling.pause, "uid:1", None, 5)
    job = await add(store)
    await claim(store, job, concurrency_limits())
    cancelled = await store.write(transitions.cancel, job.id, "uid:1", None, 6)
    assert cancelled.held is None
    assert await store.write(scheduling.find_startable, concurrency_limits(), 4, 1) == (False, [])
    assert await claim(store, job, concurrency_limits()) is None


async def test_nothing_starts_without_free_space(store: Store) -> None:
    full, away = concurrency_limits(stopped="storage: full"), concurrency_limits(unreachable={"claw": "away"})
    first, second = await add(store), await add(store, executor="claw")
    assert await claim(store, first, full) == scheduling.Held("storage: full", is_new=True)
    assert await claim(store, second, away) == scheduling.Held("executor claw: away", is_new=True)
    # What is held for another reason is claimed once more, which stores this one.
    assert await store.write(scheduling.find_startable, full, 4, 1) == (True, [(second.id, 1, 5)])
    assert await claim(store, second, full) == scheduling.Held("storage: full", is_new=True)
    assert await store.write(scheduling.find_startable, full, 4, 1) == (True, [])
    assert await store.write(scheduling.find_startable, concurrency_limits(), 4, 1) == (
        True,
        [(first.id, 1, 5), (second.id, 1, 5)],
    )


async def test_jobs_of_an_unreachable_executor_wait_and_others_do_not(store: Store) -> None:
    unreachable = concurrency_limits(unreachable={"claw": "connection refused"})
    waits, runs = await add(store, executor="claw"), await add(store)
    assert await claim(store, waits, unreachable) == scheduling.Held("executor claw: connection refused", is_new=True)
    assert await store.write(scheduling.find_startable, unreachable, 4, 1) == (True, [])
    job = (await claim(store, runs, unreachable)).job
    assert job.status is Status.RUNNING
    assert await store.write(scheduling.find_startable, concurrency_limits(), 4, 1) == (True, [(waits.id, 1, 5)])
    job = (await claim(store, waits, concurrency_limits())).job
    assert job.status is Status.RUNNING


async def test_the_next_jobs_are_those_that_are_queued_and_not_held(store: Store) -> None:
    low, first, second = await add(store, priority=1), await add(store, priority=7), await add(store, priority=7)
    held, started = await add(store, priority=9), await add(store, priority=9)
    assert isinstance(await claim(store, held, concurrency_limits(stopped="no rails")), scheduling.Held)
    assert isinstance(await claim(store, started, concurrency_limits()), Claimed)
    async with store.reading() as db:
        assert await jobs.next_jobs(db, 9) == [(first.id, 1, 7), (second.id, 1, 7), (low.id, 1, 1)]
        assert await jobs.next_jobs(db, 2) == [(first.id, 1, 7), (second.id, 1, 7)]


async def test_no_job_starts_once_the_daily_budget_is_used_up_and_each_says_until_when(store: Store) -> None:
    limits, midnight = running(per_day=Budget(usd=2.0)), 20_001 * DAY_MS
    early, spender = await add(store, NOON), await add(store, NOON)
    claimed = await store.write(scheduling.claim, spender.id, 1, "me", NOON, limits)
    assert isinstance(claimed, Claimed)
    await store.write(add_spending, (claimed.fence.key, 1, 1), Usage(1, 1, 2.5, 1), NOON)
    held = await store.write(scheduling.claim, early.id, 1, "me", NOON, limits)
    assert held == scheduling.Held(
        f"limit: the day's budget of 2 USD is used up until {format_timestamp(midnight)}", is_new=True
    )
    assert await store.write(scheduling.find_startable, limits, 4, midnight - 1) == (True, [])
    assert (await store.write(scheduling.find_startable, running(per_day=Budget(usd=3.0)), 4, NOON))[1] == [
        (early.id, 1, 5)
    ]
    assert (await store.write(scheduling.find_startable, limits, 4, midnight))[1] == [(early.id, 1, 5)]
    assert isinstance(await store.write(scheduling.claim, early.id, 1, "me", midnight, limits), Claimed)
