"""Recovers jobs that an earlier daemon left running: resumes, requeues or concludes them."""

import logging

from shared.ids import now_ms, short_id
from stitcherd import processes
from stitcherd.git.checkout import Checkouts
from stitcherd.queue import MAX_PRIORITY
from stitcherd.store import interruptions, jobs
from stitcherd.store.sqlite import Store

log = logging.getLogger(__name__)


async def recover_running_jobs(store: Store, checkouts: Checkouts, owner: str) -> list[tuple[str, int, int]]:
    """Take over, requeue or conclude every RUNNING job; call it with the state directory locked, before any job starts.

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
