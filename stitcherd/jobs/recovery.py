"""What an earlier daemon left running: taken over where it can be found again; else ended, and its job goes on."""

import logging

from shared.ids import now_ms, short_id
from stitcherd import processes
from stitcherd.git.checkout import Checkouts
from stitcherd.queue import MAX_PRIORITY
from stitcherd.store import interruptions, jobs
from stitcherd.store.sqlite import Store

log = logging.getLogger(__name__)


async def recover_running_jobs(store: Store, checkouts: Checkouts, owner: str) -> list[tuple[str, int, int]]:
    """Settle every job that is RUNNING; to be called under the state directory's lock, before any job starts.

    Returns (job id, attempt, priority) of those that `owner` has taken over and is to go on with.
    """
    async with store.reading() as db:
        left = await jobs.running_job_ids(db)
    taken_over = []
    for job_id in left:
        ended = 0
        # What an executor of this kind runs in the checkout is not ours, and part of what is to go on.
        if not await store.write(interruptions.may_run_elsewhere, job_id):
            ended = await processes.end_all(job_id, checkouts.directory(job_id))
        attempt = await store.write(interruptions.take_over, job_id, owner, now_ms())
        if attempt is not None:
            taken_over.append((job_id, attempt, MAX_PRIORITY))
            log.warning("job %s was running when the daemon stopped, and goes on", short_id(job_id))
            continue
        status = await store.write(interruptions.recover, job_id, now_ms())
        log.warning(
            "job %s was running when the daemon stopped: now %s, %d processes ended", short_id(job_id), status, ended
        )
    return taken_over
