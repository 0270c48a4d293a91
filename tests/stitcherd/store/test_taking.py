"""Taking jobs: in their order, each once, by whoever may run it, within the limits whoever takes."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import now_ms
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.taker import Taker
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails.limits import concurrency_limits
from stitcherd.store import daemons, taking, transitions
from stitcherd.store.in_force import put_in_force
from stitcherd.store.rulings import Undecided
from stitcherd.store.scheduling import Held
from stitcherd.store.steps import Claimed
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stitcherd.store.test_daemons import end, join, process
from tests.stores import open_store

DIGEST = new_job().rails_digest
TAKERS, EACH = 6, 4


@pytest.fixture
async def in_force(store: Store) -> None:
    await store.write(put_in_force, DIGEST)


def limits(**more: Any) -> ConcurrencyLimits:
    return replace(concurrency_limits(rails_digest=DIGEST), **more)


async def take(store: Store, owner: str, *executors: str, running: ConcurrencyLimits | None = None) -> Claimed | None:
    found = await store.write(taking.take, owner, executors or ("agent",), now_ms(), running or limits())
    assert not isinstance(found, Held)
    return found


async def held(store: Store, job_id: str) -> str | None:
    row = await store.write(lambda db: transitions.find_job_row(db, job_id))
    found: str | None = row["held"]
    return found


async def add(store: Store, **more: Any) -> str:
    return (await dispatch(store, new_job(executor="agent", **more))).id


@pytest.mark.usefixtures("in_force")
async def test_the_next_job_is_taken_by_priority_and_then_in_its_order(store: Store) -> None:
    one = await join(store)
    jobs = [await add(store, priority=priority) for priority in (5, 9, 5)]
    taken = [await take(store, one.id) for _ in range(4)]
    assert [each and each.job.id for each in taken] == [jobs[1], jobs[0], jobs[2], None]


@pytest.mark.usefixtures("in_force")
async def test_only_what_can_be_run_is_taken(store: Store) -> None:
    one = await join(store)
    job = await add(store)
    async with store.reading() as db:
        assert not await taking.may_take(db, ["other"], now_ms())
        assert await taking.may_take(db, ["agent"], now_ms())
    assert await take(store, one.id, "other") is None
    assert await held(store, job) is None
    assert await take(store, one.id, running=limits(rails_digest="others")) is None
    await store.write(put_in_force, "newer")
    assert await take(store, one.id) is None, "it follows first"
    assert await take(store, one.id, running=limits(rails_digest="newer")) is None, "it is decided again first"
    await store.write(put_in_force, DIGEST)
    await end(store, one)
    assert await take(store, one.id) is None, "its lease is over"


@pytest.mark.usefixtures("in_force")
async def test_a_held_job_is_taken_once_its_limit_is_free(store: Store) -> None:
    one = await join(store)
    first, second = await add(store), await add(store)
    assert await take(store, one.id, running=limits(total=1))
    assert await take(store, one.id, running=limits(total=1)) is None
    assert await held(store, second) == "limit: 1 running in all"
    taken = await take(store, one.id)
    assert taken is not None
    assert (taken.job.id, await held(store, second)) == (second, None)
    assert first != second


@pytest.mark.usefixtures("in_force")
async def test_a_job_with_a_commit_is_for_who_has_its_checkout(store: Store) -> None:
    one, two = await join(store), await join(store, "two")
    job = await add(store)
    assert await take(store, one.id)
    await store.write(transitions.queue_same_attempt, job, (1, one.id), now_ms(), "approved", None)
    await store.write(lambda db: db.execute("UPDATE jobs SET tries_used = 1, held = NULL WHERE id = ?", (job,)))
    assert await take(store, two.id) is None
    await store.write(lambda db: db.execute("UPDATE jobs SET held = 'approved' WHERE id = ?", (job,)))
    assert await take(store, two.id) is None
    taken = await take(store, one.id)
    assert taken is not None
    assert taken.job.id == job


@pytest.mark.usefixtures("in_force")
async def test_a_job_is_taken_at_once_behind_many_that_a_limit_holds(store: Store) -> None:
    lease = Lease(store, process(), 600.0)
    await lease.join()
    running = limits(per_repo=1)
    taker = Taker(store, SimpleNamespace(), lease, lambda: ["agent"], list, lambda: running)  # type: ignore[arg-type]
    first = await add(store, repository="acme/roof")
    for _ in range(2 * taking.LOOKED_AT):
        await add(store, repository="acme/roof")
    last = await add(store, repository="acme/cellar")
    assert await taker.take() == (first, 1)
    assert await taker.take() == (last, 1)
    assert await taker.take() is None


@pytest.mark.usefixtures("in_force")
async def test_a_limit_that_holds_all_is_not_stored_for_all_at_once(store: Store) -> None:
    one = await join(store)
    jobs = [await add(store) for _ in range(taking.LOOKED_AT + 2)]
    assert await take(store, one.id, running=limits(total=1))
    assert await take(store, one.id, running=limits(total=1)) is None
    assert await held(store, jobs[-1]) is None


@pytest.mark.usefixtures("in_force")
async def test_a_commit_of_an_earlier_version_is_for_the_first_daemon(store: Store) -> None:
    job = await add(store)
    await store.write(lambda db: db.execute("UPDATE jobs SET tries_used = 1, worker = NULL WHERE id = ?", (job,)))
    worker = await join(store, "worker")
    daemon = await join(store, "daemon", role="daemon")
    later = await join(store, "later", role="daemon")
    for one in (worker, daemon, later):
        await store.write(daemons.beat, one.id, 600_000, ["agent"])
    async with store.reading() as db:
        assert not await taking.out_of_reach(db)
    assert await take(store, worker.id) is None
    assert await take(store, later.id) is None
    taken = await take(store, daemon.id)
    assert taken is not None
    assert taken.job.id == job


@pytest.mark.usefixtures("in_force")
async def test_what_nobody_can_run_is_held_with_the_reason(store: Store) -> None:
    one = await join(store)
    job = await add(store)

    async def hold() -> str | None:
        async with store.reading() as db:
            found = await taking.out_of_reach(db)
        if found:
            await store.write(taking.hold_out_of_reach, {"agent": "executor agent: away"}, "{executor}", now_ms())
        return await held(store, job)

    assert await hold() is None, "it is not known yet what is reached"
    await store.write(daemons.beat, one.id, 600_000, ["other"])
    assert await hold() == "executor agent: away"
    await store.write(daemons.beat, one.id, 600_000, ["agent"])
    taken = await take(store, one.id)
    assert taken is not None
    assert taken.job.id == job


@pytest.mark.usefixtures("in_force")
async def test_what_is_broken_here_is_taken_only_if_nobody_else_can_run_it(store: Store) -> None:
    one, two = await join(store), await join(store, "two")
    await store.write(daemons.beat, one.id, 600_000, [])
    await store.write(daemons.beat, two.id, 600_000, ["agent"])
    first, second = await add(store), await add(store)

    async def take_broken() -> str | None:
        found = await store.write(taking.take, one.id, [], now_ms(), limits(), ["agent"])
        return found.job.id if isinstance(found, Claimed) else None

    assert await take_broken() is None
    await store.write(daemons.beat, two.id, 600_000, [])
    assert await take_broken() == first
    await end(store, two)
    assert await take_broken() == second


@pytest.mark.usefixtures("in_force")
async def test_under_rails_that_only_observe_each_job_gets_that_as_its_reason(store: Store) -> None:
    one, job = await join(store), await add(store)
    await store.write(put_in_force, "newer")
    assert await take(store, one.id, running=limits(rails_digest="newer", stopped="observe")) is None
    assert await held(store, job) == "observe"
    await store.write(put_in_force, DIGEST)
    taken = await take(store, one.id)
    assert taken is not None
    assert (taken.job.id, await held(store, job)) == (job, None)


async def test_a_job_is_found_again_that_was_decided_under_other_rails(store: Store) -> None:
    job = await add(store)
    async with store.reading() as db:
        assert await taking.otherwise_decided(db, DIGEST, 0) == []
        [(key, found)] = await taking.otherwise_decided(db, "newer", 0)
        assert found == job
        assert await taking.otherwise_decided(db, "newer", key) == []
    version = (await store.write(lambda db: transitions.find_job_row(db, job)))["version"]
    await store.write(taking.rule_queued, job, Undecided(version + 1, "newer", "not yet"), now_ms())
    assert await held(store, job) is None, "it has changed since"
    await store.write(taking.rule_queued, job, Undecided(version, "newer", "not yet"), now_ms())
    assert await held(store, job) == "not yet"


@pytest.mark.postgres
@pytest.mark.usefixtures("in_force")
async def test_many_take_each_job_once_and_the_limit_is_exact(store: Store, path: Path) -> None:
    stores = [await open_store(path) for _ in range(TAKERS)]
    owners = [await join(store, f"process-{number}") for number in range(TAKERS)]
    jobs = {await add(store) for _ in range(TAKERS * EACH)}
    most = limits(total=3)
    taken: list[str] = []
    running = 0

    async def work(its: Store, owner: str) -> None:
        nonlocal running
        while len(taken) < len(jobs):
            found = await take(its, owner, running=most)
            if found is None:
                await asyncio.sleep(0.005)
                continue
            taken.append(found.job.id)
            running += 1
            assert running <= 3
            await asyncio.sleep(0.005)
            running -= 1  # before it ends in the store, after which others may take the next one
            await its.write(transitions.queue_same_attempt, found.job.id, (1, owner), now_ms(), "done", 2**60)

    async with asyncio.timeout(60):
        await asyncio.gather(*(work(its, owner.id) for its, owner in zip(stores, owners, strict=True)))
    assert len(taken) == len(jobs)
    assert set(taken) == jobs
    for its in stores:
        await its.close()
