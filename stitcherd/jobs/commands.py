"""One command over every job that a filter means: chosen at one moment, then changed a few at a time."""

import sqlite3
from collections.abc import Callable
from typing import Literal

from msgspec import UNSET

from shared.api import BulkItem, BulkResult
from shared.filters import Filter
from shared.ids import now_ms
from shared.models import OPEN_STATUSES, RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.jobs.runner import Runner
from stitcherd.queue import Queue
from stitcherd.store import rows, search, transitions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

MAX_BULK_JOBS = 100_000  # jobs in one command: what it answers is held in memory
BULK_CHUNK = 32  # jobs in one transaction: whoever writes meanwhile waits for one chunk at most

BulkAction = Literal["cancel", "retry"]
JobTransition = Callable[[sqlite3.Connection, str], RunnerJob]

BULK_STATUSES = {"cancel": (OPEN_STATUSES, "not_cancellable"), "retry": (transitions.RETRYABLE, "not_retryable")}


class JobCommands:
    """Cancels or retries many jobs."""

    def __init__(self, store: Store, queue: Queue, runner: Runner) -> None:
        self._store = store
        self._queue = queue
        self._runner = runner

    async def look(self, action: BulkAction, wanted: Filter, workspace: str | None) -> BulkResult:
        """Say which jobs would be changed and which could not be, as they stand now; raises Refusal for too many."""
        possible, code = BULK_STATUSES[action]
        items = []
        for job_id, status in await self._selected(wanted, workspace):
            fits = status in possible
            items.append(BulkItem(job_id, fits, status, UNSET if fits else code))
        return BulkResult(len(items), tuple(items))

    async def change(self, action: BulkAction, wanted: Filter, workspace: str | None, actor: str) -> BulkResult:
        """Cancel or retry every job that passes, the oldest first, and say what became of each.

        Meant are the jobs that pass before the first one is changed. Raises Refusal for too many of them, and
        StorageUnavailable where nothing at all was stored.
        """
        selected = await self._selected(wanted, workspace)
        items: list[BulkItem] = []
        for start in range(0, len(selected), BULK_CHUNK):
            some = selected[start : start + BULK_CHUNK]
            try:
                items += await self._change(action, [job_id for job_id, _ in some], actor)
            except StorageUnavailable:
                if not items:
                    raise
                items += [BulkItem(job_id, False, status, "storage_unavailable") for job_id, status in selected[start:]]
                break
        return BulkResult(len(items), tuple(items))

    async def _selected(self, wanted: Filter, workspace: str | None) -> list[tuple[str, Status]]:
        async with self._store.reading() as db:
            found = await search.find_matching(db, wanted, workspace, now_ms(), MAX_BULK_JOBS + 1)
        if len(found) > MAX_BULK_JOBS:
            raise Refusal("invalid", f"q: more than {MAX_BULK_JOBS:,} jobs pass", "narrow it, with age:<1d for one")
        return found

    async def _change(self, action: BulkAction, job_ids: list[str], actor: str) -> list[BulkItem]:
        now = now_ms()
        if action == "cancel":
            outcomes = await self._store.write(
                _apply_to_each, lambda db, it: transitions.cancel(db, it, actor, None, now), job_ids
            )
        else:
            outcomes = await self._store.write(
                _apply_to_each, lambda db, it: transitions.retry(db, it, actor, now), job_ids
            )
        for job, refusal in outcomes:
            if refusal is None and action == "retry":
                self._queue.put(job.id, job.attempt, job.priority)
            elif refusal is None:
                self._runner.cancel(job.id)
        return [BulkItem(job.id, no is None, job.status, UNSET if no is None else no.code) for job, no in outcomes]


def _apply_to_each(
    db: sqlite3.Connection, move: JobTransition, job_ids: list[str]
) -> list[tuple[RunnerJob, Refusal | None]]:
    """Move each job that can be moved; returns all as they are now, with what stood in the way."""
    outcomes: list[tuple[RunnerJob, Refusal | None]] = []
    for job_id in job_ids:
        try:
            outcomes.append((move(db, job_id), None))
        except Refusal as refusal:
            outcomes.append((rows.job(transitions.find_job_row(db, job_id)), refusal))
    return outcomes
