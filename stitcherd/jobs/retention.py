"""Deletes what is past its retention, at start and every hour, in small batches."""

import asyncio
import logging
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from shared.ids import now_ms
from stitcherd.budget import DAY_MS
from stitcherd.config.settings import Settings
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.free_space import delete_checkouts, shortage_reason
from stitcherd.store import retention
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

RETENTION_INTERVAL_SECONDS = 3600.0
BATCH_PAUSE_SECONDS = 0.05  # between two batches, for other writers

log = logging.getLogger(__name__)


async def run_retention(store: Store, settings: Settings, checkouts: Checkouts) -> None:
    """Remove what is past its retention, for ever; a failure is logged, and retried an hour later."""
    while True:
        try:
            await remove_expired(store, settings, checkouts)
        except (StorageUnavailable, sqlite3.Error, OSError) as error:
            log.error("retention could not finish: %s; trying again in an hour", error)  # noqa: TRY400 (no bug of ours)
        await asyncio.sleep(RETENTION_INTERVAL_SECONDS)


async def remove_expired(store: Store, settings: Settings, checkouts: Checkouts) -> None:
    """Remove what is past its retention: events, bodies, answers, logs, failed checkouts (these also without space)."""
    before = now_ms() - int(settings.retention.events * 1000)
    await _in_batches(store, retention.prune_events, before)
    await _in_batches(store, retention.prune_bodies, before)
    await _in_batches(store, retention.prune_answers, before)
    await _in_batches(store, retention.prune_hits, now_ms() - DAY_MS)  # the longest window of a limit
    logs, directory = Path(settings.daemon.state_dir) / "logs", settings.daemon.checkouts_dir
    for job_id in await _expired_jobs(store, logs, before):
        await asyncio.to_thread(shutil.rmtree, logs / job_id, ignore_errors=True)
    for job_id in await _expired_jobs(store, directory, before):
        await checkouts.remove(job_id)
    if shortage_reason(settings.daemon) is not None:
        await delete_checkouts(settings.daemon, await _expired_jobs(store, directory, now_ms()))


async def _in_batches(store: Store, prune_some: Callable[..., int], before: int) -> None:
    while await store.write(prune_some, before):  # noqa: ASYNC110 (a pause, not a poll)
        await asyncio.sleep(BATCH_PAUSE_SECONDS)


async def _expired_jobs(store: Store, directory: Path, before: int) -> list[str]:
    """Return the names in a directory that are ids of jobs which ended before a time (ms), or of none."""
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    async with store.reading() as db:
        return await retention.past_retention(db, names, before)
