"""Cancels and retries jobs: one, or all that match a filter, a few in each transaction."""

from collections.abc import Callable
from typing import Literal

from msgspec import UNSET

from shared.api import BulkItem, BulkResult
from shared.filters import Filter
from shared.ids import now_ms
from shared.models import OPEN_STATUSES, RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.jobs.runner import Runner
from stitcherd.queue import JobQueue
from stitcherd.rails.live import LiveRails
from stitcherd.store import publications, retries, rows, search, transitions
from stitcherd.store.db import Db
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

MAX_BULK_JOBS = 100_000  # jobs of one bulk action: its answer is held in memory
BULK_CHUNK = 32  # jobs in one transaction: another writer waits for one chunk at most

BulkAction = Literal["cancel", "retry"]
JobTransition = Callable[[Db, str], RunnerJob]

BULK_STATUSES = {"cancel": (OPEN_STATUSES, "not_cancellable"), "retry": (retries.RETRYABLE, "not_retryable")}


class JobCommands:
    """Cancels and retries jobs, in the store first and then in the runner or the queue."""

    def __init__(self, store: Store, queue: JobQueue, runner: Runner, rails: LiveRails) -> None:
        self._store = store
        self._queue = queue
        self._runner = runner
        self._rails = rails

    async def cancel(self, job_id: str, actor: str, reason: str | None) -> RunnerJob:
        """Cancel a job: at once, or, if it runs, as soon as its processes have ended; raises Refusal."""
        job = await self._store.write(transitions.cancel, job_id, actor, reason, now_ms())
        self._runner.cancel(job_id)
        return job

    async def retry(self, job_id: str, actor: str) -> RunnerJob:
        """Queue a failed or cancelled job again; raises Refusal."""
        job = await self._store.write(retries.retry, job_id, actor, now_ms(), self._in_force)
        self._queue.put_job(job)
        return job

    @property
    def _in_force(self) -> str | None:
        return self._rails.current.digest if self._rails.current else None

    async def preview_bulk(self, action: BulkAction, wanted: Filter, workspace: str | None) -> BulkResult:
        """Return which matching jobs an action would change, as they are now; raises Refusal for too many."""
        possible, code = BULK_STATUSES[action]
        matching = await self._find_matching(wanted, workspace)
        async with self._store.reading() as db:
            publishing = await publications.publishing_jobs(db) if action == "cancel" else frozenset()
        items = []
        for job_id, status in matching:
            fits = status in possible and job_id not in publishing
            items.append(BulkItem(job_id, fits, status, UNSET if fits else code))
        return BulkResult(len(items), tuple(items))

    async def apply_bulk(self, action: BulkAction, wanted: Filter, workspace: str | None, actor: str) -> BulkResult:
        """Cancel or retry every job that matches before the first is changed, oldest first; return each result.

        Raises Refusal for too many jobs, and StorageUnavailable if nothing at all was stored.
        """
        matching = await self._find_matching(wanted, workspace)
        items: list[BulkItem] = []
        for start in range(0, len(matching), BULK_CHUNK):
            chunk = matching[start : start + BULK_CHUNK]
            try:
                items += await self._apply_to_chunk(action, [job_id for job_id, _ in chunk], actor)
            except StorageUnavailable:
                if not items:
                    raise
                items += [BulkItem(job_id, False, status, "storage_unavailable") for job_id, status in matching[start:]]
                break
        return BulkResult(len(items), tuple(items))

    async def _find_matching(self, wanted: Filter, workspace: str | None) -> list[tuple[str, Status]]:
        async with self._store.reading() as db:
            found = await search.find_matching(db, wanted, workspace, now_ms(), MAX_BULK_JOBS + 1)
        if len(found) > MAX_BULK_JOBS:
            raise Refusal("invalid", f"q: more than {MAX_BULK_JOBS:,} jobs match", "narrow it, with age:<1d for one")
        return found

    async def _apply_to_chunk(self, action: BulkAction, job_ids: list[str], actor: str) -> list[BulkItem]:
        now, in_force = now_ms(), self._in_force

        def cancel(db: Db, job_id: str) -> RunnerJob:
            return transitions.cancel(db, job_id, actor, None, now)

        def retry(db: Db, job_id: str) -> RunnerJob:
            return retries.retry(db, job_id, actor, now, in_force)

        outcomes = await self._store.write(_apply_to_each, cancel if action == "cancel" else retry, job_ids)
        for job, refusal in outcomes:
            if refusal is None and action == "retry":
                self._queue.put_job(job)
            elif refusal is None:
                self._runner.cancel(job.id)
        return [
            BulkItem(job.id, refusal is None, job.status, UNSET if refusal is None else refusal.code)
            for job, refusal in outcomes
        ]


def _apply_to_each(db: Db, transition: JobTransition, job_ids: list[str]) -> list[tuple[RunnerJob, Refusal | None]]:
    """Apply a transition to each job; return all as they are now, with the refusal of those left unchanged."""
    outcomes: list[tuple[RunnerJob, Refusal | None]] = []
    for job_id in job_ids:
        try:
            outcomes.append((transition(db, job_id), None))
        except Refusal as refusal:
            outcomes.append((rows.job(transitions.find_job_row(db, job_id)), refusal))
    return outcomes
