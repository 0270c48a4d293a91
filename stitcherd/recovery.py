"""What an earlier daemon left running: its processes are ended, its jobs go where their type says."""

import logging

from shared.ids import now_ms, short
from stitcherd import processes
from stitcherd.git.checkouts import Checkouts
from stitcherd.store import moves, reads
from stitcherd.store.sqlite import Store

log = logging.getLogger(__name__)


async def recover(store: Store, checkouts: Checkouts) -> None:
    """Settle every job that is RUNNING; to be called under the state directory's lock, before any job starts."""
    async with store.reading() as db:
        left = await reads.running(db)
    for job_id in left:
        ended = await processes.end_all(job_id, checkouts.directory(job_id))
        status = await store.write(moves.recover, job_id, now_ms())
        log.warning(
            "job %s was running when the daemon stopped: now %s, %d processes ended", short(job_id), status, ended
        )
