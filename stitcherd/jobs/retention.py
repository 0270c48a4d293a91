"""Deletes what is past its retention, at start and every hour, in small batches."""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from shared.ids import now_ms
from stitcherd.budget import DAY_MS
from stitcherd.config.settings import RetentionSettings, Settings
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.free_space import delete_checkouts, shortage_reason
from stitcherd.metrics import RETENTION_DELETED, RETENTION_RUN
from stitcherd.store import retention
from stitcherd.store.db import Db, Reader
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.retention import RowPlace
from stitcherd.store.store import Store

RETENTION_INTERVAL_SECONDS = 3600.0
BATCH_PAUSE_SECONDS = 0.05  # between two batches, for other writers

log = logging.getLogger(__name__)


async def run_retention_of_rows(store: Store, kept: RetentionSettings) -> None:
    """Delete the rows that are past their retention, for ever."""
    await _run_hourly(lambda: remove_rows(store, kept, now_ms()))


async def run_retention_of_files(store: Store, settings: Settings, checkouts: Checkouts) -> None:
    """Remove the files of this machine that are past their retention, for ever."""
    await _run_hourly(lambda: remove_files(store, settings, checkouts))


async def _run_hourly(remove: Callable[[], Awaitable[None]]) -> None:
    """Remove what is due, for ever; a failure is logged, and retried an hour later."""
    while True:
        try:
            await remove()
        except (StorageUnavailable, OSError) as error:
            log.error("retention could not finish: %s; trying again in an hour", error)  # noqa: TRY400 (no bug of ours)
        await asyncio.sleep(RETENTION_INTERVAL_SECONDS)


async def remove_files(store: Store, settings: Settings, checkouts: Checkouts) -> None:
    """Remove logs and checkouts past their retention, and for lack of space the checkouts of all ended jobs."""
    now = now_ms()
    before = now - int(settings.retention.events * 1000)
    logs, directory = Path(settings.daemon.state_dir) / "logs", settings.daemon.checkouts_dir
    for job_id in await _expired_jobs(store, logs, before):
        await asyncio.to_thread(shutil.rmtree, logs / job_id, ignore_errors=True)
    for job_id in await _expired_jobs(store, directory, before):
        await checkouts.remove(job_id)
    if shortage_reason(settings.daemon) is not None:
        await delete_checkouts(settings.daemon, await _expired_jobs(store, directory, now))
    RETENTION_RUN.set(now_ms() / 1000)


async def remove_rows(store: Store, kept: RetentionSettings, now: int) -> None:
    """Delete events, bodies, answers, outputs, jobs older than `kept.events`, and deliveries also than `kept.dedupe`.

    The pages that become unused are given back to the file system.
    """
    before, seen_since = (now - int(each * 1000) for each in (kept.events, kept.dedupe))
    await _in_batches(store, "events", retention.prune_events, before, now)
    await _in_batches(store, "bodies", retention.prune_bodies, before)
    await _in_batches(store, "answers", retention.prune_answers, before)
    await _in_batches(store, "pieces", retention.prune_pieces, before)
    await _in_batches(store, "hits", retention.prune_hits, now - DAY_MS)  # the longest window of a limit
    expired_jobs = partial(retention.expired_jobs, before=before, seen_since=seen_since)
    await _delete_found(store, "jobs", expired_jobs, retention.delete_jobs)
    expired_deliveries = partial(retention.expired_deliveries, before=min(before, seen_since))
    await _delete_found(store, "deliveries", expired_deliveries, retention.delete_deliveries)
    while await store.write(lambda db: db.release_space()):  # noqa: ASYNC110 (a pause, not a poll)
        await asyncio.sleep(BATCH_PAUSE_SECONDS)


async def _in_batches(store: Store, kind: str, prune_some: Callable[..., int], *limits: int) -> None:
    while deleted := await store.write(prune_some, *limits):
        RETENTION_DELETED.labels(kind).inc(deleted)
        await asyncio.sleep(BATCH_PAUSE_SECONDS)


async def _delete_found(
    store: Store,
    kind: str,
    find_next: Callable[[Reader, RowPlace], Awaitable[list[RowPlace]]],
    delete: Callable[[Db, Sequence[RowPlace]], int],
) -> None:
    place = RowPlace()
    while True:
        async with store.reading() as db:
            found = await find_next(db, place)
        if not found:
            return
        RETENTION_DELETED.labels(kind).inc(await store.write(delete, found))
        place = found[-1]
        await asyncio.sleep(BATCH_PAUSE_SECONDS)


async def _expired_jobs(store: Store, directory: Path, before: int) -> list[str]:
    """Return the names in a directory that are ids of jobs which ended before a time (ms), or of none."""
    names = sorted(entry.name for entry in directory.iterdir()) if directory.is_dir() else []
    async with store.reading() as db:
        return await retention.past_retention(db, names, before)
