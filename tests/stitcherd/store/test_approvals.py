"""Jobs that wait for an approval, in a real store: each ends its waiting once, whatever comes first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.ids import format_timestamp, new_id, now_ms
from shared.models import Decision, RunnerJob, Status, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest, CommandResult
from stitcherd.store import approvals, commands, deliveries, events, jobs, retries, transitions
from stitcherd.store.approvals import Reevaluation
from stitcherd.store.deliveries import DeliveryFilter
from stitcherd.store.repetitions import RepeatedDelivery
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import approval_request, deliver, dispatch
from tests.stores import open_store

Make = Callable[..., Any]
HOUR = 3_600_000


@pytest.fixture
def wait(store: Store, new_job: Make, new_delivery: Make) -> Callable[..., Any]:
    """Store a delivery whose job waits."""

    async def make(number: int = 7, **more: Any) -> RunnerJob:
        thread, delivery = Thread("issue", number), new_id()
        decision = Decision(Verdict.WAITING, "guard stranger: it is strange", "r1", trigger="word")
        job = new_job(thread=thread, delivery_id=delivery, approval=approval_request(**more))
        return await deliver(store, new_delivery(id=delivery, thread=thread, decision=decision), job)

    return make


async def recorded_events(store: Store, job: RunnerJob) -> list[tuple[str, str]]:
    async with store.reading() as db:
        return [(event.type, event.actor) for event in (await events.job_events(db, job.id, None, 0, 99)).items]


async def refused(store: Store, function: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await store.write(function, *args)
    return caught.value.code


async def test_a_waiting_job_is_pending_and_its_event_says_whom_it_waits_for(store: Store, wait: Make) -> None:
    job = await wait(expires_at=1_800_000_000_000)
    assert (job.status, job.queued_at, job.last_event) == (Status.PENDING, None, "job.waiting")
    async with store.reading() as db:
        event = (await events.job_events(db, job.id, None, 0, 9)).items[-1]
        assert await jobs.next_jobs(db, 100) == []
    assert event.payload == {
        "guards": ["stranger", "big"],
        "by": ["chiefs", "crew"],
        "expiresAt": format_timestamp(1_800_000_000_000),
    }
    assert await store.write(transitions.start, job.id, 1, "me", now_ms()) is None


async def test_an_approved_job_is_queued_once(store: Store, wait: Make) -> None:
    job = await wait()
    approved = await store.write(approvals.approve, job.id, "uid:1000", "read it", now_ms())
    assert (approved.status, approved.last_event) == (Status.QUEUED, "job.queued")
    assert approved.queued_at is not None
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms()) == "not_waiting"
    assert await refused(store, transitions.deny, job.id, "uid:1000", "no", now_ms()) == "not_waiting"
    assert (await recorded_events(store, job))[2:] == [("job.approved", "uid:1000"), ("job.queued", "uid:1000")]
    assert await store.write(transitions.start, job.id, 1, "me", now_ms())


@pytest.mark.parametrize("first", ["cancel", "deny", "expire"])
async def test_a_job_that_was_not_approved_is_never_queued_later(store: Store, wait: Make, first: str) -> None:
    job = await wait(expires_at=now_ms() + HOUR)
    if first == "cancel":
        ended = await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    elif first == "deny":
        ended = await store.write(transitions.deny, job.id, "uid:1000", "no", now_ms())
    else:
        (ended,) = await store.write(approvals.expire, now_ms() + 2 * HOUR)
    assert ended.status is Status.CANCELLED
    assert ended.completed_at is not None
    events_before = await recorded_events(store, job)
    assert events_before[-1][0] == ("job.denied" if first == "deny" else "job.cancelled")
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms()) == "not_waiting"
    assert await refused(store, retries.retry, job.id, "uid:1000", now_ms()) == "not_retryable"
    assert await recorded_events(store, job) == events_before


async def test_an_approved_job_that_was_cancelled_may_be_retried(store: Store, wait: Make) -> None:
    job = await wait()
    await store.write(approvals.approve, job.id, "uid:1000", None, now_ms())
    await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert (await store.write(retries.retry, job.id, "uid:1000", now_ms())).status is Status.QUEUED


async def test_requests_expire_across_a_restart(store: Store, path: Path, wait: Make) -> None:
    end = now_ms() + HOUR
    job, later = await wait(expires_at=end), await wait(number=8, expires_at=end + HOUR)
    await store.close()
    again = await open_store(path)
    try:
        assert await again.write(approvals.expire, end - 1) == []
        assert await refused(again, approvals.approve, job.id, "uid:1000", None, end) == "not_waiting"
        assert [each.id for each in await again.write(approvals.expire, end)] == [job.id]
        assert await again.write(approvals.expire, end) == []
        async with again.reading() as db:
            event = (await events.job_events(db, job.id, None, 0, 9)).items[-1]
            assert (event.type, event.actor) == ("job.cancelled", "stitcherd")
            assert event.payload == {"reason": "approval expired after 24h"}
            assert (await jobs.get_job(db, later.id, None)).status is Status.PENDING
    finally:
        await again.close()


async def find_waiting(store: Store, job: RunnerJob) -> ApprovalRequest:
    async with store.reading() as db:
        return (await approvals.find_waiting(db, job.id))[1]


def reevaluation(request: ApprovalRequest | None) -> Reevaluation:
    return Reevaluation(
        profile="careful",
        executor="smith",
        tries_max=5,
        on_interrupt="retry",
        rails_digest="r2",
        decision=Decision(Verdict.WAITING, "guard stranger: still", "r2"),
        request=request,
        reason="the rails changed from r1 to r2" if request else "the rails r2 ask nobody",
    )


async def test_other_rails_replace_the_request(store: Store, wait: Make) -> None:
    job = await wait()
    seen = await find_waiting(store, job)
    changed = await store.write(
        approvals.replace_request, job.id, seen, reevaluation(approval_request(rails_digest="r2")), now_ms()
    )
    assert (changed.status, changed.rails_digest, changed.profile) == (Status.PENDING, "r2", "careful")
    assert (changed.executor, changed.tries.max, changed.version) == ("smith", 5, job.version + 1)
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms(), seen) == "conflict"
    assert await refused(store, approvals.replace_request, job.id, seen, reevaluation(None), now_ms()) == "conflict"
    async with store.reading() as db:
        detail = await jobs.get_job_detail(db, job.id, None)
    assert isinstance(detail.decision, Decision)
    assert detail.decision.reason == "guard stranger: still"
    assert isinstance(detail.events, tuple)
    assert detail.events[-1].payload["reason"] == "the rails changed from r1 to r2"
    now = await find_waiting(store, job)
    assert (await store.write(approvals.approve, job.id, "uid:1000", None, now_ms(), now)).status is Status.QUEUED


async def test_other_rails_that_require_no_approval_queue_the_job(store: Store, wait: Make) -> None:
    job = await wait()
    seen = await find_waiting(store, job)
    queued = await store.write(approvals.replace_request, job.id, seen, reevaluation(None), now_ms())
    assert (queued.status, queued.rails_digest) == (Status.QUEUED, "r2")
    assert (await recorded_events(store, job))[2:] == [("job.approved", "rails"), ("job.queued", "rails")]


def comment(new_delivery: Make, result: CommandResult) -> deliveries.NewDelivery:
    new: deliveries.NewDelivery = new_delivery(thread=Thread("issue", 7), decision=result.decision)
    return new


async def test_waiting_jobs_are_found_by_their_thread(store: Store, wait: Make) -> None:
    job, other = await wait(), await wait(number=8)
    async with store.reading() as db:
        found = await approvals.waiting_on_thread(db, "default", "acme/roof", Thread("issue", 7))
        assert await approvals.waiting_on_thread(db, "default", "Acme/ROOF", Thread("issue", 7)) == found
        assert await approvals.waiting_on_thread(db, "lab", "acme/roof", Thread("issue", 7)) == []
    assert [(each.id, request.source) for each, request in found] == [(job.id, "forge")]
    await store.write(transitions.cancel, other.id, "uid:1000", None, now_ms())
    async with store.reading() as db:
        assert await approvals.waiting_on_thread(db, "default", "acme/roof", Thread("issue", 8)) == []


async def test_a_comment_changes_nothing_once_what_waits_has_changed(
    store: Store, wait: Make, new_delivery: Make
) -> None:
    job = await wait()
    seen = await find_waiting(store, job)
    result = CommandResult(Decision(Verdict.ALLOWED, "zoe may approve", "r1"), job.id, action="approve", reason="fine")
    new = comment(new_delivery, result)
    await store.write(
        approvals.replace_request, job.id, seen, reevaluation(approval_request(rails_digest="r2")), now_ms()
    )
    events_before = await recorded_events(store, job)
    stored = await store.write(commands.add_command, new, result, ((job.id, job.version),))
    assert stored == commands.ThreadChanged()
    assert await recorded_events(store, job) == events_before
    async with store.reading() as db:
        assert new.id not in {each.id for each in (await deliveries.delivery_page(db, DeliveryFilter(), 9)).items}
    stored = await store.write(commands.add_command, new, result, ((job.id, job.version + 1),))
    assert isinstance(stored, deliveries.StoredDelivery)
    assert stored.job is not None
    assert (stored.job.id, stored.job.status) == (job.id, Status.QUEUED)
    async with store.reading() as db:
        delivery = await deliveries.get_delivery(db, new.id, None)
    assert (delivery.verdict, delivery.job_id) == (Verdict.ALLOWED, job.id)


async def test_a_repeated_comment_is_carried_out_once(store: Store, wait: Make, new_delivery: Make) -> None:
    job = await wait()
    result = CommandResult(Decision(Verdict.ALLOWED, "zoe may deny", "r1"), job.id, "deny")
    new = structs.replace(comment(new_delivery, result), external_id="d1")
    expected = ((job.id, job.version),)
    stored = await store.write(commands.add_command, new, result, expected)
    assert isinstance(stored, deliveries.StoredDelivery)
    again = await store.write(commands.add_command, structs.replace(new, id=new_id()), result, expected)
    assert isinstance(again, RepeatedDelivery)
    assert (again.first.id, again.job and again.job.status) == (new.id, Status.CANCELLED)
    assert (await recorded_events(store, job))[-1] == ("job.denied", new.actor)


async def test_the_head_of_a_change_is_pinned_while_its_job_waits(store: Store, new_job: Make) -> None:
    request, places = approval_request(), {"ref": "refs/pull/7/head", "target": "main"}
    job = await dispatch(store, new_job(approval=request, **places))
    for more in ({}, {"approval": request}, {"approval": request, "head_sha": "9c1e", **places}, places):
        await dispatch(store, new_job(**more))
    async with store.reading() as db:
        assert [each.id for each in await approvals.without_head(db)] == [job.id]
    await store.write(approvals.pin_head, job.id, "1a2b" * 10, now_ms())
    async with store.reading() as db:
        assert await approvals.without_head(db) == []
        found, pinned = await approvals.find_waiting(db, job.id)
        event = (await events.job_events(db, job.id, None, 0, 9)).items[-1]
    assert (found.head_sha, pinned) == ("1a2b" * 10, structs.replace(request, head_sha="1a2b" * 10))
    assert (event.type, event.payload["reason"]) == ("job.waiting", "the head of the change is 1a2b1a2")
    assert await refused(store, approvals.approve, job.id, "uid:0", None, now_ms(), request) == "conflict"
    await store.write(approvals.approve, job.id, "uid:0", None, now_ms())
    assert await refused(store, approvals.pin_head, job.id, "9c1e" * 10, now_ms()) == "not_waiting"
