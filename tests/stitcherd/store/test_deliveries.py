"""Repetitions are stored once: deliveries, jobs on a thread, dispatches with an idempotency key."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from shared.deliveries import Via
from shared.ids import new_id, now_ms
from shared.models import Decision, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.store import deliveries, jobs, transitions
from stitcherd.store.deliveries import JobAlreadyOpen, StoredDelivery
from stitcherd.store.repetitions import RepeatedDelivery, find_repeated
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import add_delivery, deliver, dispatch

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
    job = await dispatch(store, first, allowed)
    again = new_job(idempotency_key="k", request_sha256="a")
    assert await store.write(jobs.dispatch, again, allowed, now_ms()) == (job, False)
    kept = await everything(store)
    with pytest.raises(Refusal, match="another request") as refused:
        await store.write(jobs.dispatch, structs.replace(again, request_sha256="b"), allowed, now_ms())
    assert refused.value.code == "invalid"
    assert await everything(store) == kept
    other = structs.replace(again, id=new_id(), workspace="lab", request_sha256="b")
    assert await dispatch(store, other, allowed) != job, "a key belongs to its workspace"


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
        ({"external_id": "d2", "subject": "comment:1"}, False),
        ({"external_id": "d2", "subject": "comment:1", "via": Via.PULL}, True),
        ({"external_id": "d2", "subject": "comment:1", "via": Via.PULL, "repository": "Acme/ROOF"}, True),
        ({"external_id": "d2", "subject": "comment:1", "via": Via.PULL, "repository": "acme/wall"}, False),
        ({"external_id": "d2", "subject": "comment:1", "via": Via.PULL, "source": "mirror"}, False),
        ({"external_id": "d2", "subject": "comment:2", "via": Via.PULL}, False),
        ({"external_id": "d2", "subject": None}, False),
        (
            {
                "external_id": "d2",
                "subject": "comment:1",
                "via": Via.PULL,
                "seen_since": DAY + 1,
                "received_at": 9 * DAY,
            },
            False,
        ),
        ({"external_id": "d2", "subject": "comment:1", "via": Via.PULL, "replay_of": "x"}, False),
    ],
)
async def test_a_repeated_delivery_returns_the_first_one(
    store: Store, new_job: Make, new_delivery: Make, again: dict[str, Any], repeated: bool
) -> None:
    first = new_delivery(external_id="d1", body_sha256="b1", subject="comment:1", received_at=DAY)
    job = await deliver(store, first, new_job(thread=THREAD, delivery_id=first.id))
    kept = await everything(store)
    second = new_delivery(**{"received_at": DAY + 1, **again})
    outcome = await add_delivery(store, second)
    if repeated:
        assert isinstance(outcome, RepeatedDelivery)
        assert (outcome.first.id, outcome.job) == (first.id, job)
        assert await everything(store) == kept
    else:
        assert outcome == StoredDelivery()
    async with store.reading() as db:
        found = await find_repeated(db, second.identity())
    if repeated:
        assert found == outcome, "a reader finds the same"


async def test_a_delivery_does_not_repeat_an_earlier_replay(store: Store, new_delivery: Make) -> None:
    await add_delivery(store, new_delivery(external_id="d1", replay_of="old"))
    assert await add_delivery(store, new_delivery(external_id="d1")) == StoredDelivery()


@pytest.mark.parametrize("spelled", ["acme/roof", "Acme/Roof", "ACME/roof"])
async def test_a_second_job_is_not_stored_while_one_is_open_on_the_thread(
    store: Store, new_job: Make, new_delivery: Make, spelled: str
) -> None:
    first = await deliver(store, new_delivery(), new_job(thread=THREAD, repository="acme/roof"))
    second = new_delivery()
    kept = await everything(store)
    job = new_job(thread=THREAD, delivery_id=second.id, repository=spelled)
    assert await add_delivery(store, second, job) == JobAlreadyOpen(first)
    assert await everything(store) == kept
    async with store.reading() as db:
        assert await jobs.find_open_on_thread(db, job) == first
    duplicate = structs.replace(second, verdict=Verdict.DUPLICATE, reason="it is open", job_id=first.id)
    assert await add_delivery(store, duplicate) == StoredDelivery()
    async with store.reading() as db:
        stored = await deliveries.get_delivery(db, second.id, None)
    assert (stored.verdict, stored.reason, stored.job_id) == (Verdict.DUPLICATE, "it is open", first.id)
    assert isinstance(stored.decision, Decision)
    assert stored.decision.verdict is Verdict.ALLOWED
    for other in (
        {"type": "review"},
        {"workspace": "lab"},
        {"repository": "acme/cellar"},
        {"thread": Thread("issue", 8)},
    ):
        assert await deliver(store, new_delivery(), new_job(**{"thread": THREAD, **other})), other
    await store.write(transitions.cancel, first.id, "uid:1000", None, now_ms())
    assert await deliver(store, new_delivery(), new_job(thread=THREAD))


async def test_delivery_pages_have_no_gaps(store: Store, new_delivery: Make) -> None:
    ids = []
    for verdict in itertools.islice(itertools.cycle((Verdict.IGNORED, Verdict.DENIED)), 9):
        delivery = new_delivery(decision=Decision(verdict, "because", "r1"), body=b"\x00\xff")
        await add_delivery(store, delivery)
        ids.append(delivery.id)
    seen: list[str] = []
    before: str | None = None
    while True:
        async with store.reading() as db:
            page = await deliveries.delivery_page(db, deliveries.DeliveryFilter(before=before), 4)
        seen += [delivery.id for delivery in page.items]
        if (before := page.next) is None:
            break
    assert seen == ids[::-1]
    async with store.reading() as db:
        denied = await deliveries.delivery_page(
            db, deliveries.DeliveryFilter(verdicts=(Verdict.DENIED,), sources=("forge",)), 9
        )
        assert [delivery.id for delivery in denied.items] == ids[1::2][::-1]
        assert await deliveries.get_body(db, ids[0], None) == b"\x00\xff"
