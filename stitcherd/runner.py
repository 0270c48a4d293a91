"""Takes a job from claim to conclusion, and lets it be cancelled at any point between."""

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from shared.ids import new_id, now_ms, short
from shared.models import Failure, Result, RunnerJob
from stitcherd.attempt import Attempt, Failed
from stitcherd.executors import Executor
from stitcherd.git.checkouts import Checkouts
from stitcherd.rails.rulebook import Rulebook
from stitcherd.redact import Redaction
from stitcherd.settings import Settings
from stitcherd.steps import Journal
from stitcherd.store import limits, moves, progress, reads
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
RETRY_SECONDS = 1.0  # between two tries to write how a job ended, while the store takes nothing

log = logging.getLogger(__name__)

Rules = Callable[[str], Awaitable[Rulebook]]


class Runner:
    """Runs claimed jobs; `rules` finds the rails of a revision, and raises LookupError where it cannot.

    `slots` says how many jobs may run now.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        rules: Rules,
        executors: Mapping[str, Executor],
        checkouts: Checkouts,
        owner: str,
        slots: Callable[[], limits.Slots] = limits.Slots,
    ) -> None:
        self._store = store
        self._settings = settings
        self._rules = rules
        self._executors = executors
        self._checkouts = checkouts
        self._owner = owner
        self._slots = slots
        self._redaction = Redaction(settings.secret_values)
        self._running: dict[str, asyncio.Task[object]] = {}
        self._cancelled: set[str] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """How many jobs run now."""
        return len(self._running)

    async def run(self, job_id: str, attempt: int) -> bool:
        """Run one attempt of a job, unless the message was stale; nothing escapes but being stopped.

        Returns False where a limit or a pause keeps the job in the queue.
        """
        task = asyncio.current_task()
        while job_id in self._running:  # a retry may come before the attempt that ended has tidied up
            await asyncio.wait([self._running[job_id]])
        if task is None or self._stopping:
            return True
        # In the table before the claim commits: a cancel that finds the job running must find its task too.
        self._running[job_id] = task
        try:
            return await self._run(job_id, attempt)
        except asyncio.CancelledError:
            if not self._stopping:
                await self._conclude(job_id, attempt, Failure("cancelled", "the job was cancelled"))
        except progress.Superseded as gone:
            log.warning("job %s: %s", short(job_id), gone)
        finally:
            self._running.pop(job_id, None)
            self._cancelled.discard(job_id)
        return True

    def cancel(self, job_id: str) -> None:
        """End what a job is doing, if it runs here; its cancel must have been stored before."""
        task = self._running.get(job_id)
        if task is not None and job_id not in self._cancelled:
            self._cancelled.add(job_id)
            task.cancel()

    async def stop(self, grace: float) -> None:
        """Give running jobs `grace` seconds, then end what they do; what becomes of them is recovery's to say."""
        running = list(self._running.values())
        if running:
            log.info("waiting up to %g s for %d running jobs", grace, len(running))
            await asyncio.wait(running, timeout=grace)
        self._stopping = True
        left = list(self._running.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    async def _run(self, job_id: str, attempt: int) -> bool:
        claimed = await self._store.write(limits.claim, job_id, attempt, self._owner, now_ms(), self._slots())
        if claimed is None or isinstance(claimed, limits.Held):
            return claimed is None
        job, fence = claimed
        try:
            outcome: Failure | Result = await (await self._attempt(job, fence)).run()
        except Failed as failed:
            outcome = failed.failure
        except progress.Superseded:
            raise
        except Exception as fault:  # noqa: BLE001 (whatever it was, the job has ended)
            outcome = _failure(job_id, fault)
        if isinstance(outcome, Failure):
            await self._conclude(job_id, attempt, outcome)
            return True
        # Deleting takes time, and until the conclusion is written a cancel would win over what is published already.
        done = self._checkouts.set_aside(job_id)
        await self._conclude(job_id, attempt, outcome)
        try:
            await self._checkouts.remove(done)
        except OSError as fault:  # the job is completed all the same, and retention will try again
            log.warning("job %s: %s", short(job_id), fault)
        return True

    async def _attempt(self, job: RunnerJob, fence: progress.Fence) -> Attempt:
        try:
            rulebook = await self._rules(job.rails_revision)
            type_ = rulebook.jobs[job.type]
            executor = self._executors[job.executor]
        except LookupError as missing:
            detail = f"what it was decided under is no longer there: {missing}"
            raise Failed(Failure("rails_unavailable", detail, "dispatch it again under today's rails")) from missing
        async with self._store.reading() as db:
            prompt = await reads.prompt(db, job.id)
        daemon = self._settings.daemon
        return Attempt(
            job=job,
            prompt=prompt,
            type=type_,
            repository=self._settings.repository(job.repository) if job.repository else None,
            executor=executor,
            checkouts=self._checkouts,
            journal=Journal(self._store, fence, Path(daemon.state_dir), daemon.log_max, self._redaction),
            environ=os.environ,
        )

    async def _conclude(self, job_id: str, attempt: int, outcome: Failure | Result) -> None:
        """Write how the job ended, as soon as the store takes it."""
        if isinstance(outcome, Failure):
            outcome = Failure(outcome.code, self._redaction.text(outcome.detail), outcome.hint)
        while True:
            try:
                await self._store.write(moves.conclude, job_id, (attempt, self._owner), now_ms(), outcome)
            except StorageUnavailable as fault:
                log.error("job %s: its end could not be stored (%s); trying again", short(job_id), fault)  # noqa: TRY400 (the disk's fault, not ours)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return


def _failure(job_id: str, fault: Exception) -> Failure:
    """Return what to say of a job that ended by a fault of the disk, or by one of our own."""
    if isinstance(fault, StorageUnavailable) or (isinstance(fault, OSError) and fault.errno in OF_THE_DISK):
        why = fault.strerror if isinstance(fault, OSError) else fault
        return Failure("storage_unavailable", f"what it did could not be stored: {why}", "make room, then retry it")
    trouble = new_id()
    log.error("job %s failed by a fault of Stitcher's own (%s)", short(job_id), trouble, exc_info=fault)
    return Failure("internal", f"a fault in Stitcher; the daemon's log has it under {trouble}")
