"""Pins the head of a change for jobs that wait for an approval, where their delivery did not name it.

A comment in a conversation names no head. It is looked up as soon as the job waits, so that whoever approves it sees
the commit that it will start from, and no later one is started.
"""

import asyncio
import contextlib
import logging

from shared.ids import now_ms, short_id
from shared.models import RunnerJob
from stitcherd.config.settings import Settings
from stitcherd.errors import Refusal
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.store import approvals
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

LOOK_SECONDS = 10.0  # between two looks for such jobs while nothing happens
COALESCE_SECONDS = 0.5  # between two looks because of events
RETRY_MS = 60_000  # after a look-up that failed, or that found no such ref

log = logging.getLogger(__name__)


async def pin_heads(store: Store, settings: Settings, checkouts: Checkouts) -> None:
    """Pin the heads of waiting jobs; for ever."""
    due: dict[str, int] = {}  # when a job is to be looked at again, by its id
    committed = store.commits()
    while True:
        committed.clear()
        async with store.reading(one_statement=True) as db:
            waiting = await approvals.without_head(db)
        due = {job.id: due.get(job.id, 0) for job in waiting}
        for job in waiting:
            if due[job.id] <= now_ms():
                await _pin(job, store, settings, checkouts)
                due[job.id] = now_ms() + RETRY_MS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await committed.wait()
        await asyncio.sleep(COALESCE_SECONDS)


async def _pin(job: RunnerJob, store: Store, settings: Settings, checkouts: Checkouts) -> None:
    repository = settings.repository(job.repository) if job.repository else None
    if repository is None or job.ref is None:
        return
    mirror = checkouts.mirror(repository.clone)
    try:
        await mirror.fetch()
        head = await mirror.fetch_ref(job.ref)
    except (GitError, OSError) as error:
        log.warning("job %s: the head of its change is not known yet: %s", short_id(job.id), error)
        return
    if head is not None:
        with contextlib.suppress(Refusal, StorageUnavailable):  # it does not wait any more; the store logs an outage
            await store.write(approvals.pin_head, job.id, head, now_ms())
