"""Jobs that wait for an approval, in a real store: one way out each, whoever comes first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.ids import format_timestamp, new_id, now_ms
from shared.models import Decision, RunnerJob, Status, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest, GuardQuestion
from stitcherd.store import approvals, deliveries, events, jobs, transitions
from stitcherd.store.approvals import Reevaluation
from stitcherd.store.sqlite import Store

Make = Callable[..., Any]
HOUR = 3_600_000


def terms(**more: Any) -> ApprovalRequest:
    usual = ApprovalRequest(
        guards=(GuardQuestion("stranger", ("chiefs",)), GuardQuestion("big", ("chiefs", "crew"))),
        source="forge",
        asker="forge:ann",
        outsiders=("forge:eve",),
        by_asker=False,
        pins=("rails",),
        rails="r1",
        head_sha=None,
        text_sha256="0" * 64,
        texts={"title": "1" * 64},
        expires="24h",
        expires_at=now_ms() + HOUR,
    )
    return structs.replace(usual, **more)


@pytest.fixture
def wait(store: Store, new_job: Make, new_delivery: Make) -> Callable[..., Any]:
    """Store a delivery whose job waits."""

    async def make(number: int = 7, **more: Any) -> RunnerJob:
        thread, delivery = Thread("issue", number), new_id()
        decision = Decision(Verdict.WAITING, "guard stranger: it is strange", "r1", trigger="word")
        job = new_job(thread=thread, delivery_id=delivery, approval=terms(**more))
        new = new_delivery(id=delivery, thread=thread, decision=decision)
        recorded = await store.write(deliveries.add_delivery, new, job)
        assert recorded.verdict is Verdict.WAITING
        assert recorded.job is not None
        return recorded.job

    return make


async def happened(store: Store, job: RunnerJob) -> list[tuple[str, str]]:
    async with store.reading() as db:
        return [(event.type, event.actor) for event in (await events.job_events(db, job.id, None, 0, 99)).items]


async def refused(store: Store, function: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(Refusal) as caught:
        await store.write(function, *args)
    return caught.value.code


async def test_it_is_stored_pending_and_says_whom_it_waits_for(store: Store, wait: Make) -> None:
    job = await wait(expires_at=1_800_000_000_000)
    assert (job.status, job.queued_at, job.last_event) == (Status.PENDING, None, "job.waiting")
    async with store.reading() as db:
        event = (await events.job_events(db, job.id, None, 0, 9)).items[-1]
        assert await jobs.queued_jobs(db) == []
    assert event.payload == {
        "guards": ["stranger", "big"],
        "by": ["chiefs", "crew"],
        "expiresAt": format_timestamp(1_800_000_000_000),
    }
    assert await store.write(transitions.start, job.id, 1, "me", now_ms()) is None


async def test_approved_it_is_queued_once(store: Store, wait: Make) -> None:
    job = await wait()
    approved = await store.write(approvals.approve, job.id, "uid:1000", "read it", now_ms())
    assert (approved.status, approved.last_event) == (Status.QUEUED, "job.queued")
    assert approved.queued_at is not None
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms()) == "not_waiting"
    assert await refused(store, transitions.deny, job.id, "uid:1000", "no", now_ms()) == "not_waiting"
    assert (await happened(store, job))[2:] == [("job.approved", "uid:1000"), ("job.queued", "uid:1000")]
    assert await store.write(transitions.start, job.id, 1, "me", now_ms())


@pytest.mark.parametrize("first", ["cancel", "deny", "expire"])
async def test_what_ended_otherwise_is_never_approved_nor_retried(store: Store, wait: Make, first: str) -> None:
    job = await wait(expires_at=now_ms() + HOUR)
    if first == "cancel":
        ended = await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    elif first == "deny":
        ended = await store.write(transitions.deny, job.id, "uid:1000", "no", now_ms())
    else:
        (ended,) = await store.write(approvals.expire, now_ms() + 2 * HOUR)
    assert ended.status is Status.CANCELLED
    assert ended.completed_at is not None
    kept = await happened(store, job)
    assert kept[-1][0] == ("job.denied" if first == "deny" else "job.cancelled")
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms()) == "not_waiting"
    assert await refused(store, transitions.retry, job.id, "uid:1000", now_ms()) == "not_retryable"
    assert await happened(store, job) == kept


async def test_an_approved_job_that_was_cancelled_may_be_retried(store: Store, wait: Make) -> None:
    job = await wait()
    await store.write(approvals.approve, job.id, "uid:1000", None, now_ms())
    await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert (await store.write(transitions.retry, job.id, "uid:1000", now_ms())).status is Status.QUEUED


async def test_time_runs_out_over_a_restart(store: Store, path: Path, wait: Make) -> None:
    end = now_ms() + HOUR
    job, later = await wait(expires_at=end), await wait(number=8, expires_at=end + HOUR)
    await store.close()
    again = await Store.open(path)
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


def renewal(wanted: ApprovalRequest | None) -> Reevaluation:
    return Reevaluation(
        profile="careful",
        executor="smith",
        tries=5,
        on_interrupt="retry",
        rails="r2",
        decision=Decision(Verdict.WAITING, "guard stranger: still", "r2"),
        terms=wanted,
    )


async def test_under_other_rails_it_waits_anew(store: Store, wait: Make) -> None:
    job = await wait()
    _, seen = await store.write(approvals.find_waiting, job.id)
    renewed = await store.write(approvals.replace_request, job.id, seen, renewal(terms(rails="r2")), now_ms())
    assert (renewed.status, renewed.rails_revision, renewed.profile) == (Status.PENDING, "r2", "careful")
    assert (renewed.executor, renewed.tries.max, renewed.version) == ("smith", 5, job.version + 1)
    assert await refused(store, approvals.approve, job.id, "uid:1000", None, now_ms(), seen) == "conflict"
    assert await refused(store, approvals.replace_request, job.id, seen, renewal(None), now_ms()) == "conflict"
    async with store.reading() as db:
        detail = await jobs.get_job_detail(db, job.id, None)
    assert isinstance(detail.decision, Decision)
    assert detail.decision.reason == "guard stranger: still"
    assert isinstance(detail.events, tuple)
    assert detail.events[-1].payload["reason"] == "the rails changed from r1 to r2"
    _, now = await store.write(approvals.find_waiting, job.id)
    assert (await store.write(approvals.approve, job.id, "uid:1000", None, now_ms(), now)).status is Status.QUEUED


async def test_rails_that_ask_nobody_queue_it(store: Store, wait: Make) -> None:
    job = await wait()
    _, seen = await store.write(approvals.find_waiting, job.id)
    queued = await store.write(approvals.replace_request, job.id, seen, renewal(None), now_ms())
    assert (queued.status, queued.rails_revision) == (Status.QUEUED, "r2")
    assert (await happened(store, job))[2:] == [("job.approved", "rails"), ("job.queued", "rails")]


async def test_jobs_of_another_source_do_not_wait_on_the_same_thread(store: Store, wait: Make) -> None:
    job = await wait()
    place = ("default", "acme/roof", Thread("issue", 7))
    assert [each.id for each, _ in await store.write(approvals.waiting_on_thread, *place, "forge")] == [job.id]
    assert await store.write(approvals.waiting_on_thread, *place, "mirror") == []
