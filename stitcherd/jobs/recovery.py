"""Recovers jobs that an earlier daemon left running: resumes, requeues or concludes them."""

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from shared.ids import now_ms, short_id
from shared.models import Failure
from stitcherd import processes
from stitcherd.config.settings import RepositorySettings
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.git.mirror import Mirror
from stitcherd.git.repairs import Repairs
from stitcherd.jobs.publisher import publication_retry
from stitcherd.queue import MAX_PRIORITY
from stitcherd.rails.approvals import commit_approval_request
from stitcherd.rails.compiled import CompiledRails
from stitcherd.store import interruptions, jobs, kept_commits, publications
from stitcherd.store.publications import UnfinishedPublication
from stitcherd.store.store import Store

log = logging.getLogger(__name__)


FindRepository = Callable[[str], RepositorySettings | None]  # by `owner/name`
FindRails = Callable[[str], Awaitable[CompiledRails]]


async def recover_running_jobs(
    store: Store, checkouts: Checkouts, owner: str, find_repository: FindRepository, find_rails: FindRails
) -> list[tuple[str, int, int]]:
    """Take over, requeue or conclude every RUNNING job; call it with the state directory locked, before any job starts.

    A job whose commit has arrived on its branch is completed, whatever its type says about interruptions; where that
    cannot be told, the job is queued with its commit. `find_rails` is that of `Runner`.
    Return (job id, attempt, priority) of the jobs that `owner` has taken over and must resume.
    """
    async with store.reading() as db:
        running = await jobs.running_job_ids(db)
    taken_over = []
    for job_id in running:
        ended = 0
        # Where the run may still go on at its executor, processes in the checkout are part of it.
        async with store.reading() as db:
            elsewhere = await interruptions.may_run_elsewhere(db, job_id)
        if not elsewhere:
            ended = await processes.end_all(job_id, checkouts.directory(job_id))
        if await _finish_publication(store, checkouts, job_id, find_repository, find_rails):
            continue
        attempt = await store.write(interruptions.take_over, job_id, owner, now_ms())
        if attempt is not None:
            taken_over.append((job_id, attempt, MAX_PRIORITY))
            log.warning("job %s was running when the daemon stopped, and is resumed", short_id(job_id))
            continue
        status = await store.write(interruptions.recover, job_id, now_ms())
        log.warning(
            "job %s was running when the daemon stopped: now %s, %d processes ended", short_id(job_id), status, ended
        )
    return taken_over


async def _finish_publication(
    store: Store, checkouts: Checkouts, job_id: str, find_repository: FindRepository, find_rails: FindRails
) -> bool:
    """Complete a job whose commit has arrived, or queue it with its commit; return False where neither was done."""
    async with store.reading() as db:
        unfinished = await publications.find_unfinished(db, job_id)
    if unfinished is None:
        return False
    job, result = unfinished.job, unfinished.result
    repository = find_repository(job.repository) if job.repository else None
    if repository is None:
        unknown = f"stitcherd.toml has no entry for {job.repository} any more"
        await _keep_commit(store, unfinished, find_rails, unknown)
        return True
    mirror, commit = checkouts.mirror(repository.clone), str(result.commit)
    try:
        arrived = await Repairs(mirror).run(partial(_has_arrived, mirror, job.branch, commit))
    except GitError as error:
        await _keep_commit(store, unfinished, find_rails, str(error))
        return True
    if not arrived:
        await store.write(publications.abandon_publication, job_id)
        return False
    log.warning("job %s was published when the daemon stopped, and is completed", short_id(job_id))
    await store.write(publications.conclude_unfinished, job_id, result, now_ms())
    await checkouts.remove(job_id)
    return True


async def _has_arrived(mirror: Mirror, branch: str, commit: str) -> bool:
    await mirror.fetch()
    return await mirror.contains(branch, commit)


async def _keep_commit(store: Store, unfinished: UnfinishedPublication, find_rails: FindRails, unknown: str) -> None:
    """Queue a job with its commit, to be pushed again, since nobody knows whether it has arrived.

    Nothing is started again for it. Where its rails are gone too it has failed.
    """
    job, commit = unfinished.job, str(unfinished.result.commit)
    log.warning("job %s: whether it was published cannot be asked yet: %s", short_id(job.id), unknown)
    now = now_ms()
    try:
        rules = (await find_rails(job.rails_digest)).approvals
    except LookupError:
        detail = f"whether {commit} has arrived on {job.branch} cannot be asked: {unknown}"
        failure = Failure("publish_failed", detail, "look at that branch before you retry the job")
        await store.write(publications.conclude_unfinished, job.id, failure, now)
        return
    kept = commit_approval_request(job, rules, (), commit, unfinished.base, now)
    await store.write(kept_commits.retry_publication, job.id, None, now, kept, publication_retry(unknown))
