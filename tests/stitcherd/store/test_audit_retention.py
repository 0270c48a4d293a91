"""What retention removes leaves the audit chain unbroken, and what is removed in its name does not."""

from pathlib import Path

import pytest

from shared.ids import now_ms
from shared.models import RunnerJob
from stitcherd.store import retention, transitions
from stitcherd.store.store import Store
from tests.stitcherd.store.audit_chain import DAY, add, prune, tamper, verify
from tests.stitcherd.store.factories import dispatch, new_job


async def finished_job(store: Store, now: int, ended: int | None) -> RunnerJob:
    """Return a job with four events of that time, of which the last is of when it ended, or three."""
    job = await dispatch(store, new_job(), now=now)
    await store.write(transitions.start, job.id, 1, "me", now)
    if ended is not None:
        await store.write(transitions.cancel, job.id, "uid:0", None, ended)
        await store.write(transitions.end_cancelled, job.id, ended, (1, "me"))
    return job


async def test_what_retention_removes_leaves_the_chain_unbroken(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "RETENTION_BATCH", 3)
    now = now_ms()
    await add(store, 5, now - 9 * DAY)
    unfinished = [await finished_job(store, now - 9 * DAY, None) for _ in range(2)]
    await add(store, 5, now - 8 * DAY)
    unfinished.append(await finished_job(store, now - 8 * DAY, None))
    noted = (await verify(store)).head
    await add(store, 5, now - 5 * DAY)
    await prune(store, now - 6 * DAY)
    report = await verify(store, noted)
    assert report.broken is None
    assert (report.removed, report.ranges, report.head_found) == (10, 2, True)
    await add(store, 2)
    for job in unfinished:
        await store.write(transitions.cancel, job.id, "uid:0", None, now - 5 * DAY)
        await store.write(transitions.end_cancelled, job.id, now - 5 * DAY, (1, "me"))
    await prune(store, now - DAY)
    report = await verify(store)
    assert report.broken is None
    assert (report.removed, report.ranges) == (24, 1), "ranges that adjoin are joined"
    assert (await verify(store, noted)).head_found is False, "that event is gone"


async def test_retention_may_remove_every_event(store: Store) -> None:
    await add(store, 5, 1)
    await prune(store, now_ms())
    report = await verify(store)
    assert (report.events, report.removed, report.broken) == (1, 5, None)
    await add(store, 5)
    assert (await verify(store)).intact


async def test_the_newest_removed_event_is_a_head(store: Store) -> None:
    await add(store, 5, 1)
    noted = (await verify(store)).head
    await prune(store, now_ms())
    assert (await verify(store, noted)).head_found


FORGED = {
    "a range that retention has not removed": (
        "DELETE FROM events WHERE id BETWEEN 8 AND 9",
        "INSERT INTO removed_events SELECT 8, 9, (SELECT hash FROM events WHERE id = 7), before FROM forged",
    ),
    "a longer range": (
        "DELETE FROM events WHERE id = 6",
        "UPDATE removed_events SET last = 6, hash = forged.after FROM forged",
    ),
    "no range": ("DELETE FROM removed_events",),
    "another hash before": ("UPDATE removed_events SET before = hash",),
    "an event in a range": ("UPDATE events SET id = 3 WHERE id = 13",),
}


@pytest.mark.parametrize("forgery", FORGED)
async def test_a_removal_in_the_name_of_retention_is_found(store: Store, path: Path, forgery: str) -> None:
    await add(store, 5, 1)
    await add(store, 8)
    await prune(store, DAY)
    assert (await verify(store)).ranges == 1
    tamper(
        path,
        "CREATE TABLE forged AS SELECT (SELECT hash FROM events WHERE id = 9) AS before,"
        " (SELECT hash FROM events WHERE id = 6) AS after",
        *FORGED[forgery],
    )
    report = await verify(store)
    assert report.broken is not None
