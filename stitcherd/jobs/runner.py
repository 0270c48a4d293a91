"""Takes a job from claim to conclusion; it can be cancelled at any point between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from msgspec import Struct

from shared.ids import now_ms, short_id
from shared.models import Failure, Result, RunnerJob, Status
from stitcherd import crash_points
from stitcherd.budget import DailyBudgetExceeded
from stitcherd.config.settings import Settings
from stitcherd.executors.base import INTERRUPTED, Executor, ExecutorUnavailable
from stitcherd.git.checkout import Checkouts
from stitcherd.git.remote import RemoteUnreachable
from stitcherd.jobs.attempt import Attempt, CommitNeedsApproval, CommitNotPublished
from stitcherd.jobs.attempt_builder import AttemptBuilder, RailsLookup
from stitcherd.jobs.command_runner import AttemptFailed
from stitcherd.jobs.failures import STORAGE_UNAVAILABLE, is_too_many_files, storage_failure, unexpected_failure
from stitcherd.jobs.free_space import shortage_reason
from stitcherd.jobs.job_start import FindHead, ask_no_forge
from stitcherd.jobs.outputs import Outputs
from stitcherd.jobs.publisher import RETRY_DELAYS_MS, publication_retry, repository_unreachable
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails.limits import concurrency_limits, unreachable_reason
from stitcherd.store import approvals, interruptions, kept_commits, scheduling, steps, transitions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.rulings import RailsChanged, Ruling, Undecided
from stitcherd.store.store import Store

HELD_FOR_FILES_MS = 2_000  # where the daemon may open no more files
STORE_RETRY_SECONDS = 1.0  # between two tries to store how a job ended, while storage is unavailable

log = logging.getLogger(__name__)


class _Run(Struct, frozen=True):
    """The run of an attempt by an owner; all that it stores goes through its `writes`."""

    job_id: str
    attempt: int
    owner: str
    writes: DeferredWrites


class Runner:
    """Runs claimed jobs as `owner`, which is another one after a lease was lost.

    `find_rails` returns the rails with a digest or raises LookupError. `decide_again` returns what the rails in force
    decide about a queued job, None where none run jobs. `current_limits` returns what may run now.
    `report_unreachable` gets the name of an executor that could not be reached, and why. `minted_secrets` returns the
    tokens that are masked besides those of the settings. `find_head` returns the head of a change as its forge has it.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        find_rails: RailsLookup,
        decide_again: Callable[[RunnerJob], Awaitable[Ruling | Undecided | None]],
        executors: Mapping[str, Executor],
        checkouts: Checkouts,
        outputs: Outputs,
        owner: str,
        current_limits: Callable[[], ConcurrencyLimits] = concurrency_limits,
        report_unreachable: Callable[[str, str], None] = lambda _name, _why: None,
        minted_secrets: Callable[[], frozenset[bytes]] = frozenset,
        find_head: FindHead = ask_no_forge,
    ) -> None:
        self._store = store
        self._settings = settings
        self._find_rails = find_rails
        self._decide_again = decide_again
        self._executors = executors
        self._checkouts = checkouts
        self.owner = owner
        self._current_limits = current_limits
        self._build = AttemptBuilder(
            store, settings, find_rails, executors, checkouts, outputs, current_limits, minted_secrets, find_head
        ).build
        self._report_unreachable = report_unreachable
        self._running: dict[str, asyncio.Task[object]] = {}
        self._cancelled: set[str] = set()
        self._abandoned: set[str] = set()
        self._stopping = False

    @property
    def running(self) -> int:
        """The number of jobs that run now."""
        return len(self._running)

    async def run(self, job_id: str, attempt: int, taken: steps.Claimed | None = None) -> bool:
        """Run one attempt of a job, unless the queue's message is stale; one that was `taken` is claimed already.

        Return False where a limit or a pause keeps the job in the queue. Raises StorageUnavailable where it could not
        be claimed.
        """
        task = asyncio.current_task()
        while job_id in self._running:  # a retry may start before the attempt that ended has cleaned up
            await asyncio.wait([self._running[job_id]])
        if task is None or self._stopping:
            return True
        # In the table before the claim commits: a cancel that finds the job running must find its task too.
        self._running[job_id] = task
        run = _Run(job_id, attempt, taken.fence.owner if taken else self.owner, DeferredWrites(self._store))
        try:
            return await self._run(run, taken)
        except asyncio.CancelledError:
            if not self._stopping and job_id not in self._abandoned:
                await self._fail(run, Failure("cancelled", "the job was cancelled"))
        except steps.Superseded as error:
            log.warning("job %s: %s", short_id(job_id), error)
        finally:
            self._running.pop(job_id, None)
            self._cancelled.discard(job_id)
            self._abandoned.discard(job_id)
        return True

    def cancel(self, job_id: str) -> None:
        """Interrupt a job if it runs here; its cancel request must have been stored before."""
        task = self._running.get(job_id)
        if task is not None and job_id not in self._cancelled:
            self._cancelled.add(job_id)
            task.cancel()

    async def abandon(self) -> None:
        """Interrupt all running jobs, and store nothing of that: the lease is lost, and others recover them."""
        running = dict(self._running)
        self._abandoned |= running.keys()
        for task in running.values():
            task.cancel("the lease is lost")
        if running:
            await asyncio.wait(running.values())

    async def stop(self, grace: float) -> None:
        """Wait `grace` seconds for running jobs, then interrupt them; the next daemon recovers them."""
        running = list(self._running.values())
        if running:
            log.info("waiting up to %g s for %d running jobs", grace, len(running))
            await asyncio.wait(running, timeout=grace)
        self._stopping = True
        for executor in self._executors.values():
            executor.detach()
        remaining = list(self._running.values())
        for task in remaining:
            task.cancel("the daemon was stopped")
        if remaining:
            await asyncio.wait(remaining)

    async def _run(self, run: _Run, taken: steps.Claimed | None) -> bool:
        found = taken or await self._claim(run)
        if isinstance(found, scheduling.Held):
            return False
        started = (found, None) if found else await self._find_taken_over(run)
        if started is None:
            return True
        crash_points.reach("after_claim")
        claimed, resumable = started
        end: Callable[..., Status | None] = transitions.conclude  # stores a failure
        try:
            outcome: Failure | Result = await self._run_attempt(run, claimed, resumable)
        except AttemptFailed as error:
            outcome = error.failure
        except (CommitNeedsApproval, CommitNotPublished) as cause:
            return await self._keep_commit(run, claimed.job, cause)
        except (ExecutorUnavailable, RemoteUnreachable, DailyBudgetExceeded) as cause:
            return await self._wait_again(run, claimed.job, cause)
        except steps.Superseded:
            raise
        except Exception as error:  # noqa: BLE001 (whatever it was, the job has ended)
            outcome, end = _unexpected_end(run.job_id, error)
        if isinstance(outcome, Failure):
            return await self._fail(run, outcome, end)
        # Deleting takes time, and until the conclusion is stored a cancel would win over what is published already.
        done = None
        with self._logging_errors(run):
            done = self._checkouts.move_aside(run.job_id)
        await self._store_outcome(run, transitions.conclude, now_ms(), outcome)
        with self._logging_errors(run):
            await self._checkouts.remove(done or run.job_id)
        return True

    @contextmanager
    def _logging_errors(self, run: _Run) -> Iterator[None]:
        """Log that a checkout cannot be removed: the job is completed nevertheless, and retention will try again."""
        try:
            yield
        except OSError as error:
            log.warning("job %s: %s", short_id(run.job_id), error)

    async def _claim(self, run: _Run) -> steps.Claimed | scheduling.Held | None:
        """Claim a job; where the rails have changed since it was decided, only with their ruling on it."""
        ruling: Ruling | Undecided | None = None
        while True:
            limits = self._current_limits()
            place = (run.job_id, run.attempt, run.owner)
            claimed = await run.writes.write(scheduling.claim, *place, now_ms(), limits, ruling)
            if not isinstance(claimed, RailsChanged):
                return claimed
            ruling = await self._decide_again(claimed.job)

    async def _find_taken_over(self, run: _Run) -> tuple[steps.Claimed, interruptions.ResumableTry] | None:
        async with self._store.reading() as db:
            return await interruptions.find_taken_over(db, run.job_id, run.attempt, run.owner)

    async def _run_attempt(
        self, run: _Run, claimed: steps.Claimed, resumable: interruptions.ResumableTry | None
    ) -> Result:
        executor = claimed.job.executor
        try:
            return await self._run_redacted(await self._build(claimed, run.writes, resumable))
        except (AttemptFailed, DailyBudgetExceeded):
            if resumable is not None and executor in self._executors:  # what is not resumed must not run on
                await self._executors[executor].terminate(resumable.reference)
            raise

    async def _run_redacted(self, attempt: Attempt) -> Result:
        try:
            return await attempt.run()
        except AttemptFailed as error:
            failure = error.failure
            detail = attempt.recorder.redaction.mask_text(failure.detail)
            raise AttemptFailed(Failure(failure.code, detail, failure.hint)) from error

    async def _fail(
        self, run: _Run, failure: Failure, transition: Callable[..., Status | None] = transitions.conclude
    ) -> bool:
        """Conclude a failed job, or requeue one whose run was lost, as its type's `on_interrupt` says; see `run`."""
        if failure.code == STORAGE_UNAVAILABLE or shortage_reason(self._settings.daemon):
            await self._make_room(run.job_id)
        if failure.code == INTERRUPTED:
            transition = interruptions.interrupt
        return await self._store_outcome(run, transition, now_ms(), failure) != Status.QUEUED

    async def _make_room(self, job_id: str) -> None:
        """Delete the checkout of a job that failed for lack of space, or while there is little: it may be the cause."""
        if not self._checkouts.directory(job_id).exists():
            return
        try:
            await self._checkouts.remove(job_id)
            log.warning("job %s: its checkout was deleted to make room", short_id(job_id))
        except OSError as error:
            log.warning("job %s: no room can be made: %s", short_id(job_id), error)

    async def _keep_commit(self, run: _Run, job: RunnerJob, cause: CommitNeedsApproval | CommitNotPublished) -> bool:
        """Let a job wait for the approval of its commit, or requeue it to publish that later; see `run`."""
        now = now_ms()
        try:
            rules = (await self._find_rails(job.rails_digest)).approvals
        except LookupError as missing:
            detail = f"its commit {cause.commit} was not published, and its rails no longer exist: {missing}"
            hint = f"look at {job.branch}, then dispatch it again under today's rails"
            return await self._fail(run, Failure("rails_unavailable", detail, hint))
        guards = cause.guards if isinstance(cause, CommitNeedsApproval) else ()
        request = rails_approvals.commit_approval_request(job, rules, guards, cause.commit, cause.base, now)
        if isinstance(cause, CommitNeedsApproval):
            status = await self._store_outcome(run, approvals.request_approval, now, request)
        elif cause.outage is None:
            status = await self._store_outcome(run, kept_commits.requeue_commit, now, request)
        else:
            retry = publication_retry(cause.outage)
            status = await self._store_outcome(run, kept_commits.retry_publication, now, request, retry)
        return status != Status.QUEUED

    async def _wait_again(
        self, run: _Run, job: RunnerJob, cause: ExecutorUnavailable | RemoteUnreachable | DailyBudgetExceeded
    ) -> bool:
        """Requeue a job of which nothing could be started; see `run`."""
        now, held_until = now_ms(), None
        match cause:
            case ExecutorUnavailable():
                self._report_unreachable(job.executor, str(cause))
                reason = unreachable_reason(job.executor, str(cause))
            case RemoteUnreachable():
                reason = repository_unreachable(str(cause))
                held_until = now + RETRY_DELAYS_MS[min(job.attempt, len(RETRY_DELAYS_MS)) - 1]
            case _:
                reason = f"limit: {cause}"
        return await self._store_outcome(run, interruptions.requeue, now, reason, held_until) != Status.QUEUED

    async def _store_outcome(
        self, run: _Run, transition: Callable[..., Status | None], *arguments: object
    ) -> Status | None:
        """Apply a transition, again and again while storage is unavailable; return the job's new status.

        Where space is missing and the outcome is a failure, the job's checkout is deleted to make room.
        """
        crash_points.reach("before_conclude")
        logged = False
        while True:
            try:
                return await run.writes.write(transition, run.job_id, (run.attempt, run.owner), *arguments)
            except StorageUnavailable as error:
                if not logged:  # the store logs how long the outage lasts
                    log.error("job %s: its end could not be stored (%s); trying again", short_id(run.job_id), error)  # noqa: TRY400 (caused by the disk, not by our code)
                logged = True
                if error.lacks_space and any(isinstance(argument, Failure) for argument in arguments):
                    await self._make_room(run.job_id)
                await asyncio.sleep(STORE_RETRY_SECONDS)


def _unexpected_end(job_id: str, error: Exception) -> tuple[Failure, Callable[..., Status | None]]:
    """Return how a job fails that an exception has ended, and what stores that: it may not have been started yet."""
    if isinstance(error, StorageUnavailable):
        return storage_failure(error), interruptions.fail_if_started
    failure = unexpected_failure(job_id, error)
    if is_too_many_files(error):
        until = now_ms() + HELD_FOR_FILES_MS
        return failure, partial(interruptions.fail_if_started, held=failure.detail, held_until=until)
    return failure, transitions.conclude
