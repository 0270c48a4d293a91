"""Held jobs are queued again when they may start."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import now_ms
from stitcherd.jobs import scheduler as scheduler_module
from stitcherd.jobs.scheduler import Scheduler
from stitcherd.rails.limits import concurrency_limits
from stitcherd.store import scheduling
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store


class SchedulerHarness:
    """A scheduler whose jobs are claimed and never end; `put` are the attempts that it queued again."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.limits = replace(concurrency_limits(), total=0)
        self.put: list[tuple[str, int, int]] = []
        self.scheduler = Scheduler(store, self._claim, lambda: self.limits, workers=2)

    async def _claim(self, job_id: str, attempt: int) -> bool:
        claimed = await self.store.write(scheduling.claim, job_id, attempt, "me", now_ms(), self.limits)
        return not isinstance(claimed, scheduling.Held)

    async def hold(self, **more: Any) -> str:
        """Return a new job that was held."""
        job = await dispatch(self.store, new_job(**more))
        await self.scheduler.run_job(job.id, 1)
        return job.id

    async def until_put(self, *job_ids: str) -> None:
        async with asyncio.timeout(20):
            while len(self.put) < len(job_ids):  # noqa: ASYNC110 (they are put by another task)
                await asyncio.sleep(0.005)
        assert [job_id for job_id, _, _ in self.put] == list(job_ids)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[SchedulerHarness]:
    store = await open_store(tmp_path / "stitcher.db")
    harness = SchedulerHarness(store)
    running = asyncio.create_task(harness.scheduler.run(lambda *attempt: harness.put.append(attempt)))
    yield harness
    running.cancel()
    await asyncio.wait({running})
    await store.close()


async def test_held_jobs_are_queued_when_another_job_ends(
    harness: SchedulerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.sleep(0)
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 3600.0)
    low, high = await harness.hold(priority=1), await harness.hold(priority=9)
    harness.limits = concurrency_limits()
    await harness.scheduler.run_job((await dispatch(harness.store, new_job())).id, 1)
    await harness.until_put(high, low)


async def test_held_jobs_are_queued_when_the_limits_change(
    harness: SchedulerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 0.01)
    job_id = await harness.hold()
    await asyncio.sleep(0.05)
    assert harness.put == []
    harness.limits = replace(harness.limits, total=1)
    await harness.until_put(job_id)


async def test_held_jobs_are_found_again_after_storage_was_unavailable(
    harness: SchedulerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_module, "POLL_SECONDS", 0.01)
    job_id = await harness.hold()
    write, failures = harness.store.write, 2

    async def unavailable(function: Any, *args: Any) -> Any:
        nonlocal failures
        if function is scheduling.find_startable and failures:
            failures -= 1
            raise StorageUnavailable("database is locked")
        return await write(function, *args)

    monkeypatch.setattr(harness.store, "write", unavailable)
    harness.limits = concurrency_limits()
    await harness.until_put(job_id)
    assert failures == 0
