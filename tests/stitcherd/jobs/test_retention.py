"""Retention: what is old is deleted, and nothing of a job that is not over."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.ids import new_id, now_ms
from shared.models import Result, RunnerJob
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.errors import Refusal
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs import retention
from stitcherd.metrics import REGISTRY
from stitcherd.store import deliveries, events, transitions
from stitcherd.store import retention as store_retention
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import deliver, new_delivery, new_job
from tests.stores import open_store

DAY = 86_400_000
SETTINGS = """
[daemon]
state_dir = "{state}"
[retention]
events = "10d"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "stitcherd.toml").write_text(SETTINGS.format(state=tmp_path / "state"))
    (tmp_path / "state").mkdir()
    return load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "socket"))


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    store = await open_store(Path(settings.daemon.state_dir) / "stitcher.db")
    yield store
    await store.close()


@pytest.fixture
def checkouts(settings: Settings) -> Checkouts:
    return Checkouts(Path(settings.daemon.state_dir))


async def add_job(store: Store, when: int, ended: int | None = None) -> RunnerJob:
    """Return a job of a delivery received at that time (ms); it runs, or ended at a time."""
    delivery = new_id()
    new = new_delivery(id=delivery, received_at=when, body=b"body", repository=None, sender=None)
    job = new_job(actor="source:forge", delivery_id=delivery)
    stored = await deliver(store, new, job)
    await store.write(transitions.start, job.id, 1, "me", when)
    if ended is not None:
        await store.write(transitions.conclude, job.id, (1, "me"), ended, Result(None, 0, 0, 0, ""))
    return stored


async def remaining(store: Store, job: RunnerJob) -> tuple[list[str], bool]:
    """Return the types of a job's events that are left, and whether the body of its delivery is."""
    async with store.reading() as db:
        page = await events.job_events(db, job.id, None, 0, 100)
        try:
            await deliveries.get_body(db, str(job.delivery_id), None)
        except Refusal:
            return [event.type for event in page.items], False
    return [event.type for event in page.items], True


def write_files(settings: Settings, name: str) -> list[Path]:
    state = Path(settings.daemon.state_dir)
    directories = [state / "logs" / name / "1", state / "checkouts" / name / "1"]
    for directory in directories:
        directory.mkdir(parents=True)
        (directory / "1.log").write_text("said")
    return [directory.parent for directory in directories]


async def test_what_is_old_is_deleted_except_of_open_jobs(
    store: Store, settings: Settings, checkouts: Checkouts
) -> None:
    now = now_ms()
    old = await add_job(store, now - 30 * DAY, ended=now - 11 * DAY)
    late = await add_job(store, now - 30 * DAY, ended=now - 2 * DAY)
    unfinished = await add_job(store, now - 30 * DAY)
    fresh = await add_job(store, now - DAY, ended=now)
    files = {job.id: write_files(settings, job.id) for job in (old, late, unfinished, fresh)}
    unknown = write_files(settings, new_id())
    deleted = REGISTRY.get_sample_value("stitcher_retention_deleted_total", {"kind": "bodies"}) or 0
    await retention.remove_rows(store, settings.retention, now_ms())
    await retention.remove_files(store, settings, checkouts)
    with pytest.raises(Refusal, match="there is no job"):
        await remaining(store, old)
    assert REGISTRY.get_sample_value("stitcher_retention_deleted_total", {"kind": "bodies"}) == deleted + 2
    assert (REGISTRY.get_sample_value("stitcher_retention_last_run_timestamp_seconds") or 0) * 1000 >= now
    assert await remaining(store, late) == (["job.completed"], False)
    assert await remaining(store, unfinished) == (["job.created", "job.queued", "job.started"], True)
    assert await remaining(store, fresh) == (["job.created", "job.queued", "job.started", "job.completed"], True)
    assert not any(directory.exists() for directory in [*files[old.id], *unknown])
    for job in (late, unfinished, fresh):
        assert all(directory.exists() for directory in files[job.id])
    async with store.reading() as db:
        assert await events.pruned_through(db) > 0
        first = await deliveries.get_delivery(db, str(old.delivery_id), None)
    assert first.job_id == old.id, "it is remembered longer"


async def test_events_are_deleted_in_batches_and_their_ids_are_never_used_again(
    store: Store, settings: Settings, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_retention, "RETENTION_BATCH", 10)
    monkeypatch.setattr(retention, "BATCH_PAUSE_SECONDS", 0.0)

    new = events.new_event("rails.reloaded", actor="rails", now=1)
    await store.write(events.add_events, *[new] * 35)
    async with store.reading() as db:
        last = await events.newest_event(db)
    await retention.remove_rows(store, settings.retention, now_ms())
    async with store.reading() as db:
        checkpoints = await events.events_after(db, 0, 100)
        assert [(event.type, event.id) for event, _ in checkpoints] == [
            ("audit.checkpoint", number) for number in range(last + 1, last + 5)
        ]
        assert await events.pruned_through(db) == last
    await store.write(events.add_events, new)
    async with store.reading() as db:
        assert await events.newest_event(db) == last + 5


@pytest.mark.parametrize("fault", [StorageUnavailable("disk I/O error"), OSError("no such directory")])
async def test_a_failure_is_retried(
    store: Store, settings: Settings, checkouts: Checkouts, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    again = asyncio.Event()
    faults = [fault]

    async def past_retention(*_: Any) -> list[str]:
        if faults:
            raise faults.pop()
        again.set()
        return []

    monkeypatch.setattr(retention, "RETENTION_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(store_retention, "past_retention", past_retention)
    keeping = asyncio.create_task(retention.run_retention_of_files(store, settings, checkouts))
    async with asyncio.timeout(20):
        await again.wait()
    keeping.cancel()
    await asyncio.wait({keeping})
    assert keeping.cancelled()
