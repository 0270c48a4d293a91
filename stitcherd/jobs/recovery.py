"""Recovers jobs that nobody runs: resumes, requeues or concludes them.

Their owner is gone, or it is this process, which lost them: the outcome of a commit was unknown, or a recovery failed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

from shared.ids import now_ms, short_id
from shared.models import Failure
from stitcherd import processes
from stitcherd.config.settings import RepositorySettings
from stitcherd.executors.base import Executor
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.git.mirror import Mirror
from stitcherd.git.repairs import Repairs
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.publisher import publication_retry
from stitcherd.queue import MAX_PRIORITY, QueuedJob
from stitcherd.queue.messages import Queue
from stitcherd.queue.taking import TakingQueue
from stitcherd.rails.approvals import commit_approval_request
from stitcherd.rails.compiled import CompiledRails
from stitcherd.store import daemons, interruptions, kept_commits, publications, transitions
from stitcherd.store.daemons import Left, LeftJob
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.publications import UnfinishedPublication
from stitcherd.store.store import Store

LOOK_SECONDS = 1.0  # between two looks for leases that are over, if one may be,
LONGEST_SECONDS = 5.0  # and else: somebody may have left before
NOTHING_LEFT = Left(  # where nobody shares the store
    is_over=False, has_jobs=False, has_own=True, next=int(LONGEST_SECONDS * 1000)
)

log = logging.getLogger(__name__)

FindRepository = Callable[[str], RepositorySettings | None]  # by `owner/name`
FindRails = Callable[[str], Awaitable[CompiledRails]]


class _NotToldError(Exception):
    """It cannot be told whether a commit has arrived on its branch."""


class Recovery:
    """Recovers jobs for a process on a `machine`, with a state directory, whose lease is `lease` (ms).

    A job whose commit has arrived on its branch is completed, whatever its type says about interruptions; where that
    cannot be told, the job is queued with its commit. `find_rails` is that of `Runner`.
    A run is ended that is not resumed, as its checkout is in another state directory, or as this process runs no jobs.
    Who lacks its executor, or cannot ask for a commit, first leaves the job to others.
    """

    def __init__(
        self,
        store: Store,
        checkouts: Checkouts,
        find_repository: FindRepository,
        find_rails: FindRails,
        *,
        machine: str = "",
        state_id: str = "",
        lease: int = 0,
        runs_jobs: bool = True,
        executors: Mapping[str, Executor] | None = None,
    ) -> None:
        self._store = store
        self._checkouts = checkouts
        self._find_repository = find_repository
        self._find_rails = find_rails
        self._machine = machine
        self._state_id = state_id
        self._lease = lease
        self._runs_jobs = runs_jobs
        self._executors = executors or {}

    async def recover(self, owner: str) -> list[QueuedJob]:
        """Take over, requeue or conclude what is left, but not to others; return what `owner` must resume."""
        left = await self._find_left(owner)
        return [(job.id, job.attempt, MAX_PRIORITY) for job in left if await self._recover(job, owner)]

    async def run(self, lease: Lease, queue: Queue | TakingQueue) -> None:
        """Give up for gone whose lease is over, and recover what they left, and what `queue` lost; for ever."""
        wait = LOOK_SECONDS
        while True:
            await asyncio.sleep(wait)
            wait = LOOK_SECONDS
            with suppress(StorageUnavailable):
                left = await self._what_is_left(lease.owner)
                for name in await self._store.write(daemons.end_leases, now_ms()) if left.is_over else ():
                    log.warning("%s is gone: its lease is over", name)
                if lease.is_held:
                    owner, is_due = lease.owner, left.is_over or left.has_jobs
                    for job in await self._find_lost(owner, queue) if left.has_own else []:
                        failure = queue.runs.failures.get((job.id, job.attempt))
                        await self._recover_for(queue, job, owner, failure)
                    for job in await self._find_left(owner) if is_due else []:
                        await self._recover_for(queue, job, owner)
                wait = min(max(LOOK_SECONDS, (left.next or 0) / 1000), LONGEST_SECONDS)

    async def _what_is_left(self, owner: str) -> Left:
        if not self._lease:
            return NOTHING_LEFT
        async with self._store.reading(one_statement=True) as db:
            return await daemons.what_is_left(db, owner, self._machine, self._state_id, self._lease)

    async def _find_left(self, owner: str) -> list[LeftJob]:
        async with self._store.reading() as db:
            return await daemons.left_jobs(db, owner, self._machine, self._state_id, self._lease)

    async def _find_lost(self, owner: str, queue: Queue | TakingQueue) -> list[LeftJob]:
        """Return the jobs of `owner` that do not run here, and are not about to."""
        async with queue.holding_starts() as known, self._store.reading() as db:
            own = await daemons.own_jobs(db, owner)
        return [job for job in own if job.id not in known]

    async def _recover_for(
        self, queue: Queue | TakingQueue, left: LeftJob, owner: str, failure: Failure | None = None
    ) -> None:
        """Recover a job, or leave it to the next look where a bug prevents that: others are not to wait for it."""
        try:
            if await self._recover(left, owner, failure):
                queue.resume(left.id, left.attempt)
        except StorageUnavailable:
            raise
        except Exception:
            log.exception("job %s cannot be recovered, through a bug in Stitcher", short_id(left.id))
        finally:  # it may be queued by now, with its commit or in its next attempt: what is not true does no harm
            queue.put(left.id, left.attempt, MAX_PRIORITY)
            queue.put(left.id, left.attempt + 1, MAX_PRIORITY)

    async def _recover(self, left: LeftJob, owner: str, failure: Failure | None = None) -> bool:
        """Recover a job; return whether it is to be resumed. One whose run a bug has ended fails."""
        if not left.is_for_all and await self._is_for_others(left.id):
            return False
        if not await self._store.write(interruptions.adopt, left.id, left.attempt, left.owner, owner):
            return False  # another daemon was faster, or it has ended
        fence, ended = (left.attempt, owner), 0
        # Where the run may still go on at its executor, processes in the checkout are part of it.
        async with self._store.reading() as db:
            elsewhere = await interruptions.find_resumable(db, left.id)
        if elsewhere is None:  # on another machine there are none
            ended = await processes.end_all(left.id, self._checkouts.directory(left.id))
        if await self._finish_publication(left.id, fence):
            return False
        is_here = self._runs_jobs and left.state_id == self._state_id  # that is, its checkout
        if failure is not None or not is_here:
            if elsewhere is not None and elsewhere[0] in self._executors:
                await self._executors[elsewhere[0]].terminate(elsewhere[1].reference)
        elif await self._store.write(interruptions.take_over, left.id, fence, now_ms()):
            log.warning("job %s was running when the daemon stopped, and is resumed", short_id(left.id))
            return True
        if failure is not None:
            status = await self._store.write(transitions.conclude, left.id, fence, now_ms(), failure)
        else:
            why = interruptions.LOST if left.owner == owner else interruptions.DAEMON_STOPPED
            status = await self._store.write(interruptions.recover, left.id, fence, now_ms(), why)
        log.warning("job %s was left running: now %s, %d processes ended", short_id(left.id), status, ended)
        return False

    async def _is_for_others(self, job_id: str) -> bool:
        """Say whether this process can neither end the run of a job nor ask for its commit, as others may.

        What the repository says now does not count: only once the job is adopted, and what was left of its run is
        ended, can nothing arrive any more.
        """
        async with self._store.reading() as db:
            elsewhere = await interruptions.find_resumable(db, job_id)
            unfinished = await publications.find_unfinished(db, job_id)
        if elsewhere is not None and elsewhere[0] not in self._executors:
            return True
        try:
            if unfinished is not None:
                await self._has_arrived(unfinished)
        except _NotToldError:
            return True
        return False

    async def _finish_publication(self, job_id: str, fence: tuple[int, str]) -> bool:
        """Complete a job whose commit has arrived, or queue it with its commit; return False where neither was done."""
        async with self._store.reading() as db:
            unfinished = await publications.find_unfinished(db, job_id)
        if unfinished is None:
            return False
        try:
            arrived = await self._has_arrived(unfinished)
        except _NotToldError as error:
            await self._keep_commit(unfinished, fence, str(error))
            return True
        if not arrived:
            await self._store.write(publications.abandon_publication, job_id, fence)
            return False
        log.warning("job %s was published when the daemon stopped, and is completed", short_id(job_id))
        await self._store.write(publications.conclude_unfinished, job_id, fence, unfinished.result, now_ms())
        await self._checkouts.remove(job_id)
        return True

    async def _has_arrived(self, unfinished: UnfinishedPublication) -> bool:
        """Ask the repository whether a commit has arrived on its branch; raises _NotToldError."""
        job = unfinished.job
        repository = self._find_repository(job.repository) if job.repository else None
        if repository is None:
            raise _NotToldError(f"stitcherd.toml has no entry for {job.repository} any more")
        mirror, commit = self._checkouts.mirror(repository.clone), str(unfinished.result.commit)
        try:
            return await Repairs(mirror).run(partial(_has_arrived, mirror, job.branch, commit))
        except GitError as error:
            raise _NotToldError(str(error)) from error

    async def _keep_commit(self, unfinished: UnfinishedPublication, fence: tuple[int, str], unknown: str) -> None:
        """Queue a job with its commit, to be pushed again, since nobody knows whether it has arrived.

        Nothing is started again for it. Where its rails are gone too it has failed.
        """
        job, commit = unfinished.job, str(unfinished.result.commit)
        log.warning("job %s: whether it was published cannot be asked yet: %s", short_id(job.id), unknown)
        now = now_ms()
        try:
            rules = (await self._find_rails(job.rails_digest)).approvals
        except LookupError:
            detail = f"whether {commit} has arrived on {job.branch} cannot be asked: {unknown}"
            failure = Failure("publish_failed", detail, "look at that branch before you retry the job")
            await self._store.write(publications.conclude_unfinished, job.id, fence, failure, now)
            return
        kept = commit_approval_request(job, rules, (), commit, unfinished.base, now)
        await self._store.write(kept_commits.retry_publication, job.id, fence, now, kept, publication_retry(unknown))


async def _has_arrived(mirror: Mirror, branch: str, commit: str) -> bool:
    await mirror.fetch()
    return await mirror.contains(branch, commit)
