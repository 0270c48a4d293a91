"""Pages of jobs neither skip nor repeat, and are filtered."""

from collections.abc import Callable
from typing import Any

from shared.ids import now_ms
from shared.models import Decision, RunnerJob, Status
from stitcherd.store import events, jobs, transitions
from stitcherd.store.jobs import JobFilter
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]


async def add(store: Store, job: jobs.NewJob, decision: Decision) -> RunnerJob:
    return await dispatch(store, job, decision)


async def test_job_pages_have_no_gaps_or_repetitions_while_jobs_are_added(
    store: Store, new_job: Make, allowed: Decision
) -> None:
    first = [(await add(store, new_job(), allowed)).id for _ in range(23)]
    seen: list[str] = []
    before: str | None = None
    while True:
        async with store.reading() as db:
            page = await jobs.job_page(db, JobFilter(before=before), 5)
        seen += [job.id for job in page.items]
        await add(store, new_job(), allowed)
        await store.write(transitions.cancel, first[0], "uid:0", None, now_ms()) if before is None else None
        if (before := page.next) is None:
            break
    assert seen == first[::-1]


async def test_an_exactly_full_page_is_the_last(store: Store, new_job: Make, allowed: Decision) -> None:
    for _ in range(4):
        await add(store, new_job(), allowed)
    async with store.reading() as db:
        assert (await jobs.job_page(db, JobFilter(), 4)).next is None
        assert (await jobs.job_page(db, JobFilter(), 3)).next is not None
        page = await jobs.job_page(db, JobFilter(workspace="lab"), 4)
    assert (page.items, page.next, sum(page.counts.values())) == ((), None, 0)


async def test_a_page_is_filtered(store: Store, new_job: Make, allowed: Decision) -> None:
    mend = await add(store, new_job(type="mend", agent_task_id="t1"), allowed)
    await add(store, new_job(repository="acme/cellar", workspace="lab"), allowed)
    await store.write(transitions.cancel, mend.id, "uid:0", None, now_ms())
    for wanted, matches in (
        (JobFilter(types=("mend",)), 1),
        (JobFilter(types=("mend", "fix")), 2),
        (JobFilter(statuses=(Status.CANCELLED,)), 1),
        (JobFilter(statuses=(Status.CANCELLED,), types=("fix",)), 0),
        (JobFilter(agent_task_id="t1", repository="acme/roof"), 1),
        (JobFilter(repository="acme/cellar", workspace="default"), 0),
    ):
        async with store.reading() as db:
            assert len((await jobs.job_page(db, wanted, 9)).items) == matches, wanted
    async with store.reading() as db:
        page = await jobs.job_page(db, JobFilter(workspace="default"), 9)
        assert page.counts == {status.lower(): int(status is Status.CANCELLED) for status in Status}
        assert page.cursor == await events.newest_event(db)
