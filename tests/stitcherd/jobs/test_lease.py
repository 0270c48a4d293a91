"""The lease of a process: renewed while the store answers, lost at two thirds of it, and taken again under a new id."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.jobs.lease import Lease
from stitcherd.store import daemons
from stitcherd.store.daemons import CannotJoin
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.store.test_daemons import end, process
from tests.stores import open_store

SECONDS = 1.2


class Cut:
    """A store whose writes fail while it `is_cut`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.is_cut = False
        self.bugs: list[Exception] = []

    async def write(self, *args: Any, **kwargs: Any) -> Any:
        if self.is_cut:
            raise StorageUnavailable("cut off")
        if self.bugs:
            raise self.bugs.pop()
        return await self.store.write(*args, **kwargs)


class LeaseHarness:
    """A lease that is kept; `ended` counts how often all jobs were ended, `owners` are the ids that came later."""

    def __init__(self, store: Store) -> None:
        self.cut = Cut(store)
        self.lease = Lease(self.cut, process(), SECONDS)  # type: ignore[arg-type]
        self.reached: list[str] | None = ["agent"]
        self.ended = 0
        self.owners: list[str] = []

    async def end_jobs(self) -> None:
        self.ended += 1

    async def keep(self) -> None:
        await self.lease.keep(lambda: self.reached, self.end_jobs, self.owners.append)

    async def rows(self) -> list[tuple[str, tuple[str, ...]]]:
        async with self.cut.store.reading() as db:
            return [(each.id, each.executors) for each in await daemons.living_daemons(db)]


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[LeaseHarness]:
    store = await open_store(tmp_path / "stitcher.db")
    harness = LeaseHarness(store)
    await harness.lease.join()
    keeping = asyncio.create_task(harness.keep())
    yield harness
    keeping.cancel()
    await asyncio.wait({keeping})
    await store.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (it changes in other tasks)
            await asyncio.sleep(0.01)


async def test_a_lease_is_renewed_and_tells_what_is_reached(harness: LeaseHarness) -> None:
    async with asyncio.timeout(20):
        while await harness.rows() != [(harness.lease.owner, ("agent",))]:  # noqa: ASYNC110 (it is in the store)
            await asyncio.sleep(0.01)
        harness.reached = []
        while await harness.rows() != [(harness.lease.owner, ())]:  # noqa: ASYNC110 (it is in the store)
            await asyncio.sleep(0.01)
    await asyncio.sleep(SECONDS)
    assert harness.lease.is_held
    assert (harness.ended, harness.owners) == (0, [])


async def test_jobs_are_ended_while_others_may_not_start_them_and_the_lease_is_taken_again(
    harness: LeaseHarness,
) -> None:
    first = harness.lease.owner
    harness.cut.is_cut = True
    await until(lambda: harness.ended > 0)
    assert not harness.lease.is_held
    assert [each for each, _ in await harness.rows()] == [first], "its lease is not over yet"
    harness.cut.is_cut = False
    await until(lambda: harness.lease.is_held)
    assert harness.owners[-1] == harness.lease.owner != first
    assert [each for each, _ in await harness.rows()] == [harness.lease.owner]


async def test_jobs_are_ended_where_others_gave_it_up(harness: LeaseHarness) -> None:
    first = harness.lease.owner
    await end(harness.cut.store, harness.lease.new)
    await until(lambda: harness.ended > 0)
    await until(lambda: harness.lease.is_held and harness.lease.owner != first)


async def test_a_bug_that_prevents_a_renewal_is_logged(harness: LeaseHarness, caplog: pytest.LogCaptureFixture) -> None:
    harness.cut.bugs = [RuntimeError("a bug")]
    await until(lambda: "through a bug" in caplog.text)
    assert "RuntimeError: a bug" in caplog.text
    harness.reached = []
    async with asyncio.timeout(20):
        while [executors for _, executors in await harness.rows()] != [()]:  # noqa: ASYNC110 (it is in the store)
            await asyncio.sleep(0.01)


async def test_a_name_is_waited_for_as_long_as_a_lease(harness: LeaseHarness) -> None:
    other = Lease(harness.cut.store, process(lock_id="another"), 0.1)
    with pytest.raises(CannotJoin):
        await other.join()
    await harness.lease.leave()
    await other.join()


async def test_a_name_is_free_again_when_the_only_process_was_killed(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "stitcher.db")
    await Lease(store, process(), 0.2).join()
    elsewhere = Lease(store, process(host="elsewhere"), 0.2)
    await elsewhere.join()
    assert elsewhere.is_held
    await store.close()


async def test_a_lease_without_an_end_is_never_over(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "other.db")
    lease = Lease(store, process(), None)
    await lease.join()
    assert (lease.is_held, lease.milliseconds) == (True, 0)
    await lease.leave()
    await store.close()
