"""What comes in twice is stored once: deliveries, jobs on a thread, dispatches with a key."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id, now_ms
from shared.models import Decision, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.store import deliveries, jobs, transitions
from stitcherd.store.sqlite import Store

Make = Callable[..., Any]

THREAD = Thread("issue", 7, "It leaks", author="forge:ann")
DAY = 86_400_000


async def everything(store: Store) -> list[list[tuple[Any, ...]]]:
    """All that could have been stored, to show that nothing was."""
    async with store.reading() as db:
        tables = ("jobs", "job_texts", "events", "job_counts", "deliveries", "delivery_bodies", "decisions")
        return [[tuple(row) for row in await db.execute_fetchall(f"SELECT * FROM {table}")] for table in tables]


async def test_an_idempotency_key_finds_the_first_job(store: Store, new_job: Make, allowed: Decision) -> None:
    first = new_job(idempotency_key="k", request_sha256="a")
    job, new = await store.write(jobs.dispatch, first, allowed, now_ms())
    assert new
    again = new_job(idempotency_key="k", request_sha256="a")
    assert await store.write(jobs.dispatch, again, allowed, now_ms()) == (job, False)
    kept = await everything(store)
    with pytest.raises(Refusal, match="another request") as refused:
        await store.write(jobs.dispatch, structs.replace(again, request_sha256="b"), allowed, now_ms())
    assert refused.value.code == "invalid"
    assert await everything(store) == kept
    other = structs.replace(again, id=new_id(), workspace="lab", request_sha256="b")
    assert (await store.write(jobs.dispatch, other, allowed, now_ms()))[1], "a key belongs to its workspace"


@pytest.mark.parametrize(
    ("again", "repeated"),
    [
        ({"external_id": "d1"}, True),
        ({"external_id": "d1", "source": "mirror"}, False),
        ({"external_id": "d1", "seen_since": DAY + 1, "received_at": 9 * DAY}, False),
        ({"external_id": "d2", "body_sha256": "b1", "same_body_since": 0}, True),
        ({"external_id": "d2", "body_sha256": "b1", "same_body_since": DAY}, True),
        ({"external_id": "d2", "body_sha256": "b1", "same_body_since": DAY + 1}, False),
        ({"external_id": "d2", "body_sha256": "b1"}, False),
        ({"external_id": None, "body_sha256": "b1", "same_body_since": 0}, True),
        ({"external_id": "d1", "body_sha256": "b1", "same_body_since": 0, "replay_of": "x"}, False),
    ],
)
async def test_a_repeated_delivery_is_the_first_one(
    store: Store, new_job: Make, new_delivery: Make, again: dict[str, Any], repeated: bool
) -> None:
    first = new_delivery(external_id="d1", body_sha256="b1", received_at=DAY)
    recorded = await store.write(deliveries.add_delivery, first, new_job(thread=THREAD, delivery_id=first.id))
    kept = await everything(store)
    second = new_delivery(**{"received_at": DAY + 1, **again})
    outcome = await store.write(deliveries.add_delivery, second, None)
    if repeated:
        assert (outcome.delivery_id, outcome.verdict, outcome.job) == (first.id, Verdict.DUPLICATE, recorded.job)
        assert await everything(store) == kept
    else:
        assert (outcome.delivery_id, outcome.verdict) == (second.id, Verdict.ALLOWED)


async def test_a_replay_does_not_make_later_deliveries_repetitions(store: Store, new_delivery: Make) -> None:
    await store.write(deliveries.add_delivery, new_delivery(external_id="d1", replay_of="old"), None)
    fresh = new_delivery(external_id="d1")
    assert (await store.write(deliveries.add_delivery, fresh, None)).delivery_id == fresh.id


async def test_an_open_job_on_the_thread_takes_the_place_of_a_second(
    store: Store, new_job: Make, new_delivery: Make
) -> None:
    first = await store.write(deliveries.add_delivery, new_delivery(), new_job(thread=THREAD))
    assert first.job
    second = new_delivery()
    outcome = await store.write(deliveries.add_delivery, second, new_job(thread=THREAD, delivery_id=second.id))
    assert (outcome.delivery_id, outcome.verdict, outcome.job) == (second.id, Verdict.DUPLICATE, first.job)
    async with store.reading() as db:
        stored = await deliveries.get_delivery(db, second.id, None)
    assert (stored.verdict, stored.job_id) == (Verdict.DUPLICATE, first.job.id)
    for other in (
        {"type": "review"},
        {"workspace": "lab"},
        {"repository": "acme/cellar"},
        {"thread": Thread("issue", 8)},
    ):
        elsewhere = new_job(**{"thread": THREAD, **other})
        assert (await store.write(deliveries.add_delivery, new_delivery(), elsewhere)).verdict is Verdict.ALLOWED, other
    await store.write(transitions.cancel, first.job.id, "uid:1000", None, now_ms())
    third = await store.write(deliveries.add_delivery, new_delivery(), new_job(thread=THREAD))
    assert third.verdict is Verdict.ALLOWED
