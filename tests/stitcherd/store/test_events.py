"""Pages of events neither skip nor repeat."""

from collections.abc import Callable
from typing import Any

from shared.models import Decision
from stitcherd.store import events, jobs
from stitcherd.store.db import Db
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]


async def test_event_pages_have_no_gaps(store: Store, new_job: Make, allowed: Decision) -> None:
    job = await dispatch(store, new_job(), allowed)
    noise = await dispatch(store, new_job(), allowed)
    key = {}
    async with store.reading() as db:
        for row in await db.execute_fetchall("SELECT key, id FROM jobs"):
            key[row["id"]] = row["key"]

    def fill(db: Db) -> None:
        for number in range(298):
            for each in (job, noise):
                events.add_events(
                    db,
                    events.new_event(
                        "step.output", actor="stitcherd", now=1, job=(key[each.id], each.id), payload={"n": number}
                    ),
                )

    await store.write(fill)
    numbers: list[int] = []
    after: int | None = 0
    while after is not None:
        async with store.reading() as db:
            page = await events.job_events(db, job.id[-8:], None, after, 100)
        numbers += [event.payload["n"] for event in page.items if event.type == "step.output"]
        assert all(event.job_id == job.id for event in page.items)
        after = page.next
    assert numbers == list(range(298))
    async with store.reading() as db:
        shown = (await jobs.get_job_detail(db, job.id, None)).events
        everybody = await events.events_after(db, 0, 1000)
    assert isinstance(shown, tuple)
    assert [event.payload["n"] for event in shown] == list(range(98, 298))
    assert [event.id for event, _ in everybody] == list(range(1, 601))
