"""Keeps the queue of a store that several processes share: rulings of changed rails, and jobs that nobody can run.

Whoever takes a job does neither: it need not know the rails' sources, nor which executors others have.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from shared.ids import now_ms
from shared.models import RunnerJob
from stitcherd.rails.limits import unreachable_reason
from stitcherd.rails.live import LiveRails
from stitcherd.store import jobs, taking
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.rulings import Ruling, Undecided
from stitcherd.store.store import Store

LOOK_SECONDS = 10.0  # between two looks, should a notification be lost
COALESCE_SECONDS = 1.0  # between two looks because of notifications
NOBODY_REACHES = "executor {executor}: no daemon or worker reaches it"


async def keep_queue(
    store: Store,
    rails: LiveRails,
    rule: Callable[[RunnerJob], Awaitable[Ruling | Undecided | None]],
    away: Callable[[], Mapping[str, str]],
) -> None:
    """Decide queued jobs again when the rails change, and hold those that nobody can run; for ever.

    `rule` returns what the rails in force decide about a job, `away` why executors cannot be reached from here.
    """
    changed = store.job_changes()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await changed.wait()
        changed.clear()
        await asyncio.sleep(COALESCE_SECONDS)
        with suppress(StorageUnavailable):
            if rails.current is not None and rails.current.mode != "observe":
                await _rule(store, rails.current.digest, rule)
            async with store.reading(one_statement=True) as db:
                held = await taking.out_of_reach(db)
            if held:
                reasons = {name: unreachable_reason(name, why) for name, why in away().items()}
                await store.write(taking.hold_out_of_reach, reasons, NOBODY_REACHES, now_ms())


async def _rule(store: Store, digest: str, rule: Callable[[RunnerJob], Awaitable[Ruling | Undecided | None]]) -> None:
    """Decide each job once that is queued: those that stay undecided do not keep the others waiting."""
    last = 0
    while True:
        async with store.reading(one_statement=True) as db:
            places = await taking.otherwise_decided(db, digest, last)
        if not places:
            return
        async with store.reading() as db:
            found = [await jobs.get_job(db, job_id, None) for _, job_id in places]
        last, _ = places[-1]
        for job in found:
            ruling = await rule(job)
            if ruling is not None:
                await store.write(taking.rule_queued, job.id, ruling, now_ms())
