"""Deliveries whose verdict is deciding are decided once, in the transaction of their job."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from shared.deliveries import Delivery
from shared.models import Decision, Thread, Verdict
from stitcherd.policy import CommandResult
from stitcherd.store import commands, deliveries, evaluated, events, retention
from stitcherd.store.deliveries import AlreadyDecided, JobAlreadyOpen, NewDelivery, StoredDelivery
from stitcherd.store.repetitions import RepeatedDelivery
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import add_delivery, deliver

Make = Callable[..., Any]

ASKING = Decision(Verdict.DECIDING, "asking forge", "r1")
DENIED = Decision(Verdict.DENIED, "who: eve", "r1")
THREAD = Thread("issue", 7, "It leaks", author="forge:ann")


@pytest.fixture
async def asked(store: Store, new_delivery: Make) -> NewDelivery:
    """A delivery that is stored and not decided yet."""
    new: NewDelivery = new_delivery(thread=THREAD, external_id="d1", decision=ASKING)
    assert await add_delivery(store, new) == StoredDelivery()
    return new


def decides(asked: NewDelivery, decision: Decision, **more: Any) -> NewDelivery:
    return structs.replace(asked, decision=decision, decides=True, received_at=asked.received_at + 500, **more)


async def stored(store: Store, new: NewDelivery) -> Delivery:
    async with store.reading() as db:
        return await deliveries.get_delivery(db, new.id, None)


async def told(store: Store) -> list[tuple[str, Any]]:
    async with store.reading() as db:
        return [(event.type, event.payload.get("verdict")) for event, _ in await events.events_after(db, 0, 100)]


async def test_an_undecided_delivery_is_found_with_its_body_and_actor(store: Store, asked: NewDelivery) -> None:
    async with store.reading() as db:
        assert [each.id for each in await evaluated.undecided_deliveries(db)] == [asked.id]
        found = await evaluated.find_undecided(db, asked.id)
        assert await evaluated.find_undecided(db, "no such id") is None
    assert found is not None
    assert (found.delivery.id, found.body, found.actor) == (asked.id, asked.body, asked.actor)
    assert found.delivery.verdict is Verdict.DECIDING


async def test_a_decision_is_stored_with_its_job_and_event(
    store: Store, asked: NewDelivery, new_job: Make, allowed: Decision
) -> None:
    job = await deliver(store, decides(asked, allowed), new_job(thread=THREAD, delivery_id=asked.id))
    delivery = await stored(store, asked)
    assert (delivery.verdict, delivery.reason, delivery.job_id) == (Verdict.ALLOWED, allowed.reason, job.id)
    assert delivery.decision == allowed
    async with store.reading() as db:
        found = await events.events_after(db, 0, 100)
        assert await evaluated.undecided_deliveries(db) == []
    (event,) = (event for event, _ in found if event.type == "delivery.decided")
    assert event.payload == {
        "deliveryId": asked.id,
        "source": asked.source,
        "verdict": "allowed",
        "reason": allowed.reason,
        "jobId": job.id,
    }


async def test_a_delivery_is_decided_once(store: Store, asked: NewDelivery, new_job: Make, allowed: Decision) -> None:
    await add_delivery(store, decides(asked, DENIED))
    before = await told(store)
    with pytest.raises(AlreadyDecided):
        await add_delivery(store, decides(asked, allowed), new_job(thread=THREAD, delivery_id=asked.id))
    with pytest.raises(AlreadyDecided):
        await store.write(commands.add_command, decides(asked, allowed), CommandResult(allowed), ())
    assert await told(store) == before == [("delivery.received", "deciding"), ("delivery.decided", "denied")]
    assert (await stored(store, asked)).decision == DENIED


async def test_a_job_that_was_opened_meanwhile_is_told(
    store: Store, asked: NewDelivery, new_delivery: Make, new_job: Make, allowed: Decision
) -> None:
    other = new_delivery(thread=THREAD)
    job = await deliver(store, other, new_job(thread=THREAD, repository="acme/roof", delivery_id=other.id))
    second = new_job(thread=THREAD, repository="acme/roof", delivery_id=asked.id)
    outcome = await add_delivery(store, decides(asked, allowed), second)
    assert outcome == JobAlreadyOpen(job)
    assert (await stored(store, asked)).verdict is Verdict.DECIDING


async def test_a_redelivery_repeats_an_undecided_delivery(store: Store, asked: NewDelivery, new_delivery: Make) -> None:
    outcome = await add_delivery(store, new_delivery(external_id="d1"))
    assert isinstance(outcome, RepeatedDelivery)
    assert (outcome.first.id, outcome.job) == (asked.id, None)


async def test_the_body_of_an_undecided_delivery_is_kept(store: Store, asked: NewDelivery) -> None:
    before = asked.received_at + 1
    assert await store.write(retention.prune_bodies, before) == 0
    await add_delivery(store, decides(asked, DENIED))
    assert await store.write(retention.prune_bodies, before) == 1
