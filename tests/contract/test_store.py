"""What every store must do: the transitions of a job, and races between them."""

import asyncio
from itertools import product

import pytest

from shared.ids import now_ms
from shared.models import (
    Failure,
    Result,
    Status,
    StepStatus,
    Usage,
)
from stitcherd.errors import Refusal
from stitcherd.store import interruptions, retries, steps, transitions
from stitcherd.store.lifecycle import NEXT, IllegalTransition
from stitcherd.store.store import Store
from tests.contract.stored_jobs import (
    ALLOWED,
    FAILURE,
    RESULT,
    THREAD,
    detail,
    ended,
    everything,
    open_step,
    owner_of,
    queued,
    recorded_events,
    running,
)


async def test_a_job_from_dispatch_to_completion(store: Store) -> None:
    job, fence = await running(store, thread=THREAD)
    assert (job.status, job.last_event) == (Status.RUNNING, "job.started")
    await store.write(steps.begin_try, fence, 1, now_ms(), steps.TryStart())
    place = await open_step(store, fence)
    await store.write(steps.add_usage, fence, place, Usage(10, 5, 0.1), now_ms())
    await store.write(steps.add_usage, fence, place, Usage(1, 1, 0.2), now_ms())
    await store.write(
        steps.close_step,
        fence,
        place,
        now_ms(),
        status=StepStatus.COMPLETED,
        exit_code=0,
        output="fine",
        output_bytes=4,
    )
    assert await store.write(transitions.conclude, job.id, owner_of(fence), now_ms(), RESULT) is Status.COMPLETED
    after = await detail(store, job)
    assert (after.status, after.result, after.error) == (Status.COMPLETED, RESULT, None)
    assert (after.tries.used, after.usage) == (1, Usage(11, 6, 0.3))
    assert after.decision == ALLOWED
    assert after.thread == THREAD
    assert after.metadata == {"a": 1}
    assert await recorded_events(store, job) == [
        "job.created",
        "job.queued",
        "job.started",
        "step.started",
        "gate.started",
        "ai.tokens_used",
        "ai.tokens_used",
        "step.completed",
        "gate.passed",
        "job.completed",
    ]


@pytest.mark.parametrize(("before", "after"), list(product(Status, Status)))
async def test_a_transition_not_in_the_table_is_impossible(store: Store, before: Status, after: Status) -> None:
    job = await queued(store)
    before_it = await everything(store)
    if after in NEXT[before]:
        return
    with pytest.raises(IllegalTransition):
        await store.write(
            transitions.advance,
            job.id,
            came_from=(before,),
            to=after,
            events=(("job.queued", {}),),
            actor="test",
            now=now_ms(),
        )
    assert await everything(store) == before_it


async def test_only_one_of_many_claims_wins(store: Store) -> None:
    job = await queued(store)
    claims = await asyncio.gather(*(store.write(transitions.start, job.id, 1, f"me {n}", now_ms()) for n in range(8)))
    assert sum(claim is not None for claim in claims) == 1
    assert await recorded_events(store, job) == ["job.created", "job.queued", "job.started"]


@pytest.mark.parametrize("attempt", [0, 2])
async def test_a_message_of_another_attempt_claims_nothing(store: Store, attempt: int) -> None:
    job = await queued(store)
    before_it = await everything(store)
    assert await store.write(transitions.start, job.id, attempt, "me", now_ms()) is None
    assert await everything(store) == before_it


@pytest.mark.parametrize("outcome", [RESULT, FAILURE], ids=["result", "failure"])
@pytest.mark.parametrize("cancelled", [False, True])
@pytest.mark.parametrize("stale", [(2, "me"), (1, "another"), (0, "me")])
async def test_a_conclusion_of_another_attempt_or_owner_changes_nothing(
    store: Store, outcome: Failure | Result, cancelled: bool, stale: tuple[int, str]
) -> None:
    job, fence = await running(store)
    await open_step(store, fence)
    if cancelled:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    before_it = await everything(store)
    assert await store.write(transitions.conclude, job.id, stale, now_ms(), outcome) is None
    assert await everything(store) == before_it


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_an_ended_job_stays_ended(store: Store, status: Status) -> None:
    job = await ended(store, status)
    before_it = await everything(store)
    assert await store.write(transitions.conclude, job.id, (1, "me"), now_ms(), RESULT) is None
    assert await store.write(interruptions.recover, job.id, (1, "me"), now_ms()) is None
    assert await store.write(transitions.start, job.id, 1, "me", now_ms()) is None
    with pytest.raises(Refusal, match=f"is {status}") as refused:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert refused.value.code == "not_cancellable"
    assert await everything(store) == before_it


@pytest.mark.parametrize("outcome", [RESULT, FAILURE], ids=["result", "failure"])
async def test_an_acknowledged_cancel_wins(store: Store, outcome: Failure | Result) -> None:
    job, fence = await running(store)
    await open_step(store, fence)
    asked = await store.write(transitions.cancel, job.id, "uid:1000", "enough", now_ms())
    assert (asked.status, asked.cancel_requested) == (Status.RUNNING, True)
    assert asked.version > job.version
    again = await store.write(transitions.cancel, job.id, "token:ci", "too late", now_ms())
    assert again.version == asked.version
    assert await store.write(transitions.conclude, job.id, owner_of(fence), now_ms(), outcome) is Status.CANCELLED
    after = await detail(store, job)
    assert (after.status, after.result, after.error) == (Status.CANCELLED, None, None)
    assert isinstance(after.events, tuple)
    last = after.events[-1]
    assert (last.type, last.actor, last.payload) == ("job.cancelled", "uid:1000", {"reason": "enough"})
    assert isinstance(after.steps, tuple)
    assert [step.status for step in after.steps] == [StepStatus.FAILED]


async def test_a_cancelled_job_that_waits_is_never_claimed(store: Store) -> None:
    job = await queued(store)
    cancelled = await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert cancelled.status is Status.CANCELLED
    assert await store.write(transitions.start, job.id, 1, "me", now_ms()) is None
    assert await recorded_events(store, job) == ["job.created", "job.queued", "job.cancelled"]


async def test_a_failed_job_leaves_no_step_running(store: Store) -> None:
    job, fence = await running(store)
    await open_step(store, fence)
    await store.write(
        transitions.conclude, job.id, owner_of(fence), now_ms(), Failure("storage_unavailable", "the disk is full")
    )
    after = await detail(store, job)
    assert isinstance(after.steps, tuple)
    assert [step.status for step in after.steps] == [StepStatus.FAILED]
    assert (await recorded_events(store, job))[-2:] == ["step.failed", "job.failed"]


async def test_a_status_and_its_event_are_stored_together_or_not_at_all(store: Store) -> None:
    job = await queued(store)
    before_it = await everything(store)
    with pytest.raises(TypeError):
        await store.write(
            transitions.advance,
            job.id,
            came_from=(Status.QUEUED,),
            to=Status.CANCELLED,
            events=(("job.cancelled", {"reason": object()}),),
            actor="test",
            now=now_ms(),
        )
    assert await everything(store) == before_it


async def test_an_unknown_job_is_refused(store: Store) -> None:
    for write in (
        lambda db: transitions.start(db, "nobody", 1, "me", 0),
        lambda db: transitions.cancel(db, "nobody", "uid:0", None, 0),
        lambda db: retries.retry(db, "nobody", "uid:0", 0),
    ):
        with pytest.raises(Refusal) as refused:
            await store.write(write)
        assert refused.value.code == "not_found"
