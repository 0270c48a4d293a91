"""What every store must do when a job is started again: by a retry, by recovery, and no try twice."""

from collections.abc import Callable, Sequence

import pytest

from shared.ids import new_id, now_ms
from shared.models import Phase, Status, StepStatus, StepType, Usage
from stitcherd.errors import Refusal
from stitcherd.store import interruptions, retries, steps, transitions
from stitcherd.store.errors import Conflict
from stitcherd.store.store import Store
from tests.contract.stored_jobs import (
    ALLOWED,
    THREAD,
    detail,
    ended,
    everything,
    open_step,
    queued,
    recorded_events,
    running,
)


@pytest.mark.parametrize("status", Status)
async def test_only_failed_and_cancelled_jobs_are_retried(store: Store, status: Status) -> None:
    if status in {Status.QUEUED, Status.PENDING}:  # nothing makes a PENDING job yet
        job = await queued(store)
    elif status is Status.RUNNING:
        job, _ = await running(store)
    else:
        job = await ended(store, status)
    before_it = await everything(store)
    if status not in {Status.FAILED, Status.CANCELLED}:
        with pytest.raises(Refusal) as refused:
            await store.write(retries.retry, job.id, "uid:1000", now_ms())
        assert refused.value.code == "not_retryable"
        assert await everything(store) == before_it
        return
    again = await store.write(retries.retry, job.id, "uid:1000", now_ms())
    assert (again.status, again.attempt, again.tries.used) == (Status.QUEUED, 2, 0)
    assert (again.error, again.cancel_requested, again.completed_at) == (None, False, None)
    assert (await recorded_events(store, job))[-2:] == ["job.retried", "job.queued"]
    assert (await detail(store, job)).decision == ALLOWED
    assert await store.write(transitions.start, job.id, 1, "me", now_ms()) is None, (
        "the message of the first attempt is old"
    )
    assert await store.write(transitions.start, job.id, 2, "me", now_ms())


@pytest.mark.parametrize("spelled", ["acme/roof", "Acme/Roof", "ACME/roof"])
async def test_a_retry_is_refused_while_another_job_is_open_on_the_thread(store: Store, spelled: str) -> None:
    first = await ended(store, Status.FAILED, thread=THREAD)
    second = await queued(store, thread=THREAD, repository=spelled)
    before_it = await everything(store)
    with pytest.raises(Refusal, match="another fix job is open") as refused:
        await store.write(retries.retry, first.id, "uid:1000", now_ms())
    assert refused.value.code == "conflict"
    assert await everything(store) == before_it
    await store.write(transitions.cancel, second.id, "uid:1000", None, now_ms())
    assert (await store.write(retries.retry, first.id, "uid:1000", now_ms())).status is Status.QUEUED


@pytest.mark.parametrize(
    ("started", "on_interrupt", "cancelled", "status", "events"),
    [
        (False, "fail", False, Status.QUEUED, ["job.recovered", "job.queued"]),
        (True, "retry", False, Status.QUEUED, ["job.recovered", "job.queued"]),
        (True, "fail", False, Status.FAILED, ["job.failed"]),
        (True, "retry", True, Status.CANCELLED, ["job.cancelled"]),
        (False, "fail", True, Status.CANCELLED, ["job.cancelled"]),
    ],
)
async def test_recovery_of_a_running_job(
    store: Store, started: bool, on_interrupt: str, cancelled: bool, status: Status, events: list[str]
) -> None:
    job, fence = await running(store, on_interrupt=on_interrupt)
    await open_step(store, fence)
    if started:
        await store.write(steps.begin_try, fence, 1, now_ms(), steps.TryStart())
    if cancelled:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert await store.write(interruptions.recover, job.id, (1, fence.owner), now_ms()) is status
    assert (await recorded_events(store, job))[-len(events) - 1 :] == ["step.failed", *events]
    after = await detail(store, job)
    assert after.attempt == (2 if status is Status.QUEUED else 1)
    assert (after.error and after.error.code) == ("interrupted" if status is Status.FAILED else None)
    before_it = await everything(store)
    for late in late_writes(fence):
        with pytest.raises(steps.Superseded):
            await store.write(late)
    assert await everything(store) == before_it


def late_writes(fence: steps.Fence) -> Sequence[Callable[..., object]]:
    place = steps.StepPlace(new_id(), 1, 1, "tests", gate=True)
    return (
        lambda db: steps.begin_try(db, fence, 2, now_ms(), steps.TryStart()),
        lambda db: steps.save_reference(db, fence, 1, {"run": "1"}),
        lambda db: steps.record_event(db, fence, "step.output", now_ms(), None, {}),
        lambda db: steps.add_usage(db, fence, place, Usage(1, 1, 1.0), now_ms()),
        lambda db: steps.open_step(
            db, fence, now_ms(), phase=Phase.EXECUTION, type_=StepType.AI_ACTION, name="agent", number=2
        ),
    )


async def test_no_try_is_started_twice(store: Store) -> None:
    job, fence = await running(store)
    await store.write(steps.begin_try, fence, 1, now_ms(), steps.TryStart())
    with pytest.raises(Conflict):
        await store.write(steps.begin_try, fence, 1, now_ms(), steps.TryStart())
    await store.write(steps.begin_try, fence, 2, now_ms(), steps.TryStart())
    assert (await detail(store, job)).tries.used == 2


async def test_a_step_ended_by_recovery_is_not_ended_again(store: Store) -> None:
    job, fence = await running(store)
    place = await open_step(store, fence)
    await store.write(interruptions.recover, job.id, (1, fence.owner), now_ms())
    before_it = await everything(store)
    await store.write(
        steps.close_step, fence, place, now_ms(), status=StepStatus.COMPLETED, exit_code=0, output="", output_bytes=0
    )
    assert await everything(store) == before_it
