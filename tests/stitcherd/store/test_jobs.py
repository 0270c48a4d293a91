"""Pages that neither skip nor repeat, ids found by their end, and what a reader may not do."""

import asyncio
import itertools
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ids import new_id, now_ms
from shared.models import Decision, RunnerJob, Status, Verdict
from stitcherd.errors import Refusal
from stitcherd.store import deliveries, events, jobs, rows, transitions
from stitcherd.store.deliveries import DeliveryFilter
from stitcherd.store.jobs import JobFilter
from stitcherd.store.sqlite import READERS, Store
from tests.stitcherd.store.factories import dispatch

Make = Callable[..., Any]
WORLD = "019a0000-0000-7000-8000-"


async def add(store: Store, job: jobs.NewJob, decision: Decision) -> RunnerJob:
    return await dispatch(store, job, decision)


async def test_job_pages_have_no_gap_and_no_repeat_while_jobs_come_in(
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


async def test_a_page_that_is_just_full_is_the_last(store: Store, new_job: Make, allowed: Decision) -> None:
    for _ in range(4):
        await add(store, new_job(), allowed)
    async with store.reading() as db:
        assert (await jobs.job_page(db, JobFilter(), 4)).next is None
        assert (await jobs.job_page(db, JobFilter(), 3)).next is not None
        page = await jobs.job_page(db, JobFilter(workspace="lab"), 4)
    assert (page.items, page.next, sum(page.counts.values())) == ((), None, 0)


async def test_a_page_is_narrowed(store: Store, new_job: Make, allowed: Decision) -> None:
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


async def test_delivery_pages(store: Store, new_delivery: Make) -> None:
    ids = []
    for verdict in itertools.islice(itertools.cycle((Verdict.IGNORED, Verdict.DENIED)), 9):
        delivery = new_delivery(decision=Decision(verdict, "because", "r1"), body=b"\x00\xff")
        await store.write(deliveries.add_delivery, delivery)
        ids.append(delivery.id)
    seen: list[str] = []
    before: str | None = None
    while True:
        async with store.reading() as db:
            page = await deliveries.delivery_page(db, DeliveryFilter(before=before), 4)
        seen += [delivery.id for delivery in page.items]
        if (before := page.next) is None:
            break
    assert seen == ids[::-1]
    async with store.reading() as db:
        denied = await deliveries.delivery_page(db, DeliveryFilter(verdicts=(Verdict.DENIED,), sources=("forge",)), 9)
        assert [delivery.id for delivery in denied.items] == ids[1::2][::-1]
        assert await deliveries.get_body(db, ids[0], None) == b"\x00\xff"


async def test_three_hundred_events_in_pages(store: Store, new_job: Make, allowed: Decision) -> None:
    job = await add(store, new_job(), allowed)
    noise = await add(store, new_job(), allowed)
    key = {}
    async with store.reading() as db:
        for row in await db.execute_fetchall("SELECT key, id FROM jobs"):
            key[row["id"]] = row["key"]

    def fill(db: sqlite3.Connection) -> None:
        for number in range(298):
            for each in (job, noise):
                events.add_event(db, "step.output", actor="stitcherd", now=1, job=key[each.id], payload={"n": number})

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


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (f"{WORLD}aaaa11112222", "aaaa11112222"),
        ("11112222", "aaaa11112222"),
        ("112222", "aaaa11112222"),
        ("AAAA11112222", "aaaa11112222"),
        ("8000-aaaa11112222", "aaaa11112222"),
        ("0-bbbb33334444", "bbbb33334444"),
    ],
)
async def test_a_job_is_found_by_its_end(store: Store, new_job: Make, allowed: Decision, name: str, found: str) -> None:
    for tail in ("aaaa11112222", "bbbb33334444", "cccc33334444"):
        await add(store, new_job(id=WORLD + tail), allowed)
    async with store.reading() as db:
        assert (await jobs.get_job(db, name, None)).id == WORLD + found
        assert (await jobs.get_job(db, name, "default")).id == WORLD + found
        with pytest.raises(Refusal) as refused:
            await jobs.get_job(db, name, "lab")
    assert refused.value.code == "not_found"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("12222", "not_found"),
        ("", "not_found"),
        ("33334444", "ambiguous_id"),
        ("9000-aaaa11112222", "not_found"),
        (f"x{WORLD}aaaa11112222", "not_found"),
        ("%%%%%%%", "not_found"),
        ("~~~~~~~~", "not_found"),
        ("\U0010ffff" * 8, "not_found"),
    ],
)
async def test_an_end_that_names_none_or_two(
    store: Store, new_job: Make, allowed: Decision, name: str, code: str
) -> None:
    for tail in ("aaaa11112222", "bbbb33334444", "cccc33334444"):
        await add(store, new_job(id=WORLD + tail), allowed)
    async with store.reading() as db:
        with pytest.raises(Refusal) as refused:
            await jobs.get_job(db, name, None)
    assert refused.value.code == code
    if code == "ambiguous_id":
        assert all(WORLD + tail in refused.value.detail for tail in ("bbbb33334444", "cccc33334444"))


@settings(deadline=None)
@given(st.integers(6, 36))
def test_every_end_of_an_id_stands_in_the_range_of_its_tail(length: int) -> None:
    name = new_id()
    ending = rows.reversed_suffix(name[-length:])
    assert ending <= rows.reversed_suffix(name) < ending + "~"


async def test_readers_cannot_write(store: Store) -> None:
    for _ in range(READERS):
        async with store.reading() as db:
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await db.execute("DELETE FROM meta")


async def test_what_is_read_is_of_one_moment(store: Store, new_job: Make, allowed: Decision) -> None:
    await add(store, new_job(), allowed)
    async with store.reading() as db:
        before = await jobs.job_page(db, JobFilter(), 9)
        await add(store, new_job(), allowed)
        assert await jobs.job_page(db, JobFilter(), 9) == before
    async with store.reading() as db:
        assert len((await jobs.job_page(db, JobFilter(), 9)).items) == 2


async def test_a_reader_who_is_cancelled_leaves_a_usable_connection(store: Store) -> None:
    async def read() -> None:
        async with store.reading() as db:
            await events.newest_event(db)

    for breaths in range(12):
        for _ in range(READERS):
            reader = asyncio.create_task(read())
            for _ in range(breaths):
                await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait({reader})
        for _ in range(READERS):
            await read()
