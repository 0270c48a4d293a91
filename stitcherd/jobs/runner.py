"""Takes a job from claim to conclusion, and lets it be cancelled at any point between."""

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from shared.ids import new_id, now_ms, short_id
from shared.models import Failure, Result, RunnerJob, Status
from stitcherd import policy
from stitcherd.budget import DailyBudgetExceeded
from stitcherd.config.settings import Settings
from stitcherd.executors.base import INTERRUPTED, Executor, ExecutorUnavailable
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.attempt import Attempt, CommitNeedsApproval
from stitcherd.jobs.command_runner import AttemptFailed
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails.compiled import CompiledRails
from stitcherd.store import approvals, interruptions, jobs, scheduling, steps, transitions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

STORAGE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
RETRY_SECONDS = 1.0  # between two tries to write how a job ended, while the store takes nothing

log = logging.getLogger(__name__)

RailsLookup = Callable[[str], Awaitable[CompiledRails]]


class Runner:
    """Runs claimed jobs; `rules` finds the rails of a revision, and raises LookupError where it cannot.

    `slots` says what may run now, and `missed` is told of an executor that could not be reached, and why.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        rules: RailsLookup,
        executors: Mapping[str, Executor],
        checkouts: Checkouts,
        owner: str,
        slots: Callable[[], policy.ConcurrencyLimits] = policy.ConcurrencyLimits,
        missed: Callable[[str, str], None] = lambda _name, _why: None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._rules = rules
        self._executors = executors
        self._checkouts = checkouts
        self._owner = owner
        self._slots = slots
        self._missed = missed
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
        except steps.Superseded as gone:
            log.warning("job %s: %s", short_id(job_id), gone)
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
        for executor in self._executors.values():
            executor.detach()
        left = list(self._running.values())
        for task in left:
            task.cancel("the daemon was stopped")
        if left:
            await asyncio.wait(left)

    async def _run(self, job_id: str, attempt: int) -> bool:
        claimed = await self._store.write(scheduling.claim, job_id, attempt, self._owner, now_ms(), self._slots())
        if isinstance(claimed, scheduling.Held):
            return False
        taken = (
            await self._store.write(interruptions.find_taken_over, job_id, attempt, self._owner)
            if claimed is None
            else claimed
        )
        if taken is None:
            return True
        job, fence, *left = taken
        try:
            outcome: Failure | Result = await self._do(job, fence, *left)
        except AttemptFailed as failed:
            outcome = failed.failure
        except (ExecutorUnavailable, DailyBudgetExceeded, CommitNeedsApproval) as cause:
            return await self._lay_by(job, cause)
        except steps.Superseded:
            raise
        except Exception as fault:  # noqa: BLE001 (whatever it was, the job has ended)
            outcome = _unexpected_failure(job_id, fault)
        if isinstance(outcome, Failure):
            return await self._fail(job_id, attempt, outcome)
        # Deleting takes time, and until the conclusion is written a cancel would win over what is published already.
        done = self._checkouts.move_aside(job_id)
        await self._conclude(job_id, attempt, outcome)
        try:
            await self._checkouts.remove(done)
        except OSError as fault:  # the job is completed all the same, and retention will try again
            log.warning("job %s: %s", short_id(job_id), fault)
        return True

    async def _do(self, job: RunnerJob, fence: steps.Fence, left: interruptions.ResumableTry | None = None) -> Result:
        try:
            return await (await self._attempt(job, fence, left)).run()
        except (AttemptFailed, DailyBudgetExceeded):
            if left is not None and job.executor in self._executors:  # what is not gone on with must not go on
                await self._executors[job.executor].terminate(left.reference)
            raise

    async def _attempt(
        self, job: RunnerJob, fence: steps.Fence, left: interruptions.ResumableTry | None = None
    ) -> Attempt:
        try:
            executor = self._executors[job.executor]
            if left is not None and job.cancel_requested:
                raise AttemptFailed(Failure("cancelled", "the job was cancelled"))
            rulebook = await self._rules(job.rails_revision)
            type_ = rulebook.jobs[job.type]
        except LookupError as missing:
            detail = f"what it was decided under is no longer there: {missing}"
            raise AttemptFailed(
                Failure("rails_unavailable", detail, "dispatch it again under today's rails")
            ) from missing
        async with self._store.reading() as db:
            prompt = await jobs.get_prompt(db, job.id)
        # Only a job that waited with its commit is claimed after a try of the same attempt.
        again = left is None and job.tries.used > 0
        approved = await self._store.write(approvals.find_granted, fence.key, job.attempt) if again else None
        daemon = self._settings.daemon
        return Attempt(
            job=job,
            prompt=prompt,
            type=type_,
            repository=self._settings.repository(job.repository) if job.repository else None,
            executor=executor,
            checkouts=self._checkouts,
            recorder=StepRecorder(self._store, fence, Path(daemon.state_dir), daemon.log_max, self._redaction),
            environ=os.environ,
            budget=rulebook.limits.per_job,
            daily_budget=lambda: self._slots().day,
            resumable=left,
            approved=approved,
        )

    async def _fail(self, job_id: str, attempt: int, failure: Failure) -> bool:
        """Let a job that failed end, or, where its run was lost and its type says so, wait to be run again."""
        if failure.code != INTERRUPTED:
            await self._conclude(job_id, attempt, failure)
            return True
        clean = self._clean(failure)
        return (
            await self._settle(interruptions.interrupt, job_id, (attempt, self._owner), now_ms(), clean)
            != Status.QUEUED
        )

    async def _lay_by(
        self, job: RunnerJob, cause: ExecutorUnavailable | DailyBudgetExceeded | CommitNeedsApproval
    ) -> bool:
        """Let a job wait in the queue, or, with its commit, for an approval."""
        mine = (job.attempt, self._owner)
        if isinstance(cause, CommitNeedsApproval):
            rules = (await self._rules(job.rails_revision)).approvals
            terms = rails_approvals.commit_approval_request(job, rules, cause.commit, cause.base, now_ms())
            await self._settle(approvals.request_approval, job.id, mine, now_ms(), terms)
            return True
        why = f"limit: {cause}"
        if isinstance(cause, ExecutorUnavailable):
            self._missed(job.executor, str(cause))
            why = scheduling.unreachable_reason(job.executor, str(cause))
        return await self._settle(interruptions.requeue, job.id, mine, now_ms(), why) != Status.QUEUED

    async def _conclude(self, job_id: str, attempt: int, outcome: Failure | Result) -> None:
        if isinstance(outcome, Failure):
            outcome = self._clean(outcome)
        await self._settle(transitions.conclude, job_id, (attempt, self._owner), now_ms(), outcome)

    def _clean(self, failure: Failure) -> Failure:
        return Failure(failure.code, self._redaction.text(failure.detail), failure.hint)

    async def _settle(self, move: Callable[..., Status | None], job_id: str, *about: object) -> Status | None:
        """Write what became of the job, as soon as the store takes it; returns where it stands then."""
        while True:
            try:
                return await self._store.write(move, job_id, *about)
            except StorageUnavailable as fault:
                log.error("job %s: its end could not be stored (%s); trying again", short_id(job_id), fault)  # noqa: TRY400 (the disk's fault, not ours)
                await asyncio.sleep(RETRY_SECONDS)


def _unexpected_failure(job_id: str, fault: Exception) -> Failure:
    """Return what to say of a job that ended by a fault of the disk, or by one of our own."""
    if isinstance(fault, StorageUnavailable) or (isinstance(fault, OSError) and fault.errno in STORAGE_ERRNOS):
        why = fault.strerror if isinstance(fault, OSError) else fault
        return Failure("storage_unavailable", f"what it did could not be stored: {why}", "make room, then retry it")
    trouble = new_id()
    log.error("job %s failed by a fault of Stitcher's own (%s)", short_id(job_id), trouble, exc_info=fault)
    return Failure("internal", f"a fault in Stitcher; the daemon's log has it under {trouble}")
