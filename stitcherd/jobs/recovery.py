"""Recovers jobs that an earlier daemon left running: resumes, requeues or concludes them."""

import logging
from collections.abc import Callable

from shared.ids import now_ms, short_id
from stitcherd import processes
from stitcherd.config.settings import RepositorySettings
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.queue import MAX_PRIORITY
from stitcherd.store import interruptions, jobs, publications
from stitcherd.store.sqlite import Store

log = logging.getLogger(__name__)


FindRepository = Callable[[str], RepositorySettings | None]  # by `owner/name`


async def recover_running_jobs(
    store: Store, checkouts: Checkouts, owner: str, find_repository: FindRepository
) -> list[tuple[str, int, int]]:
    """Take over, requeue or conclude every RUNNING job; call it with the state directory locked, before any job starts.

    A job whose commit has arrived on its branch is completed, whatever its type says about interruptions.
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
        if await _conclude_published(store, checkouts, job_id, find_repository):
            log.warning("job %s was published when the daemon stopped, and is completed", short_id(job_id))
            await checkouts.remove(job_id)
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


async def _conclude_published(store: Store, checkouts: Checkouts, job_id: str, find_repository: FindRepository) -> bool:
    """Complete a job whose publication was begun and has arrived; return whether it has."""
    async with store.reading() as db:
        unfinished = await publications.find_unfinished(db, job_id)
    if unfinished is None:
        return False
    job, result = unfinished.job, unfinished.result
    repository = find_repository(job.repository) if job.repository else None
    if repository is not None and result.commit is not None:
        mirror = checkouts.mirror(repository.clone)
        try:
            await mirror.fetch()
            if await mirror.contains(job.branch, result.commit):
                return await store.write(publications.conclude_published, job_id, result, now_ms()) is not None
        except GitError as error:
            log.warning("job %s: whether it was published cannot be asked: %s", short_id(job_id), error)
    await store.write(publications.abandon_publication, job_id)
    return False
