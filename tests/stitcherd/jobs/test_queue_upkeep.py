"""The upkeep of the queue: rulings of changed rails reach all queued jobs."""

import asyncio
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.models import RunnerJob
from stitcherd.jobs import queue_upkeep
from stitcherd.store.rulings import Undecided
from stitcherd.store.taking import RULED_AT_ONCE
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store


async def test_jobs_that_stay_undecided_do_not_keep_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_upkeep, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(queue_upkeep, "COALESCE_SECONDS", 0.01)
    store = await open_store(tmp_path / "stitcher.db")
    added = {(await dispatch(store, new_job())).id for _ in range(RULED_AT_ONCE + 1)}
    asked: set[str] = set()
    all_asked = asyncio.Event()

    async def rule(job: RunnerJob) -> Undecided:
        asked.add(job.id)
        if asked == added:
            all_asked.set()
        return Undecided(job.version, "newer", "the forge is away")

    rails = SimpleNamespace(current=SimpleNamespace(digest="newer", mode="enforce"))
    keeping = asyncio.create_task(queue_upkeep.keep_queue(store, rails, rule, dict))  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        await all_asked.wait()
    keeping.cancel()
    await asyncio.wait({keeping})
    await store.close()
