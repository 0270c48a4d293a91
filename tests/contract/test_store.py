"""What every store must do: the transitions of a job, races between them, and no second start of a try."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from shared.ids import new_id, now_ms
from shared.models import (
    Decision,
    Failure,
    Phase,
    Result,
    RunnerJob,
    Status,
    StepStatus,
    StepType,
    Thread,
    Usage,
    Verdict,
)
from stitcherd.errors import Refusal
from stitcherd.store import events, interruptions, jobs, retries, steps, transitions
from stitcherd.store.lifecycle import NEXT, IllegalTransition
from stitcherd.store.sqlite import Store
from tests.stitcherd.store.factories import dispatch, new_job

ALLOWED = Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word")
RESULT = Result("c0ffee", 1, 2, 3, "three lines")
FAILURE = Failure("gates_failed", "gate tests failed")
THREAD = Thread("issue", 7, "It leaks", author="forge:ann")


@pytest.fixture(params=[Store.open], ids=["sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await request.param(tmp_path / "stitcher.db")
    yield store
    await store.close()


async def queued(store: Store, **more: Any) -> RunnerJob:
    return await dispatch(store, new_job(**{"repository": "acme/roof", "metadata": {"a": 1}, **more}))


async def running(store: Store, owner: str = "me", **more: Any) -> tuple[RunnerJob, steps.Fence]:
    job = await queued(store, **more)
    claimed = await store.write(transitions.start, job.id, 1, owner, now_ms())
    assert claimed
    return claimed


async def ended(store: Store, status: Status, **more: Any) -> RunnerJob:
    job, fence = await running(store, **more)
    if status is Status.CANCELLED:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    outcome = FAILURE if status is Status.FAILED else RESULT
    assert await store.write(transitions.conclude, job.id, owner_of(fence), now_ms(), outcome) is status
    return await detail(store, job)


def owner_of(fence: steps.Fence) -> tuple[int, str]:
    return fence.attempt, fence.owner


async def detail(store: Store, job: RunnerJob) -> RunnerJob:
    async with store.reading() as db:
        return await jobs.get_job_detail(db, job.id, None)


async def recorded_events(store: Store, job: RunnerJob, since: int = 0) -> list[str]:
    async with store.reading() as db:
        page = await events.job_events(db, job.id, None, since, 500)
    return [event.type for event in page.items]


async def everything(store: Store) -> list[list[tuple[Any, ...]]]:
    """All rows that a transition could change, to show that one that lost a race has changed nothing."""
    async with store.reading() as db:
        tables = ("jobs", "job_texts", "steps", "starts", "events", "job_counts", "deliveries", "decisions")
        return [[tuple(row) for row in await db.execute_fetchall(f"SELECT * FROM {table}")] for table in tables]


async def open_step(store: Store, fence: steps.Fence, type_: StepType = StepType.GATE) -> steps.StepPlace:
    return await store.write(
        steps.open_step, fence, now_ms(), phase=Phase.VALIDATION, type_=type_, name="tests", number=1
    )


async def test_a_job_from_dispatch_to_completion(store: Store) -> None:
    job, fence = await running(store, thread=THREAD)
    assert (job.status, job.last_event) == (Status.RUNNING, "job.started")
    await store.write(steps.begin_try, fence, 1, now_ms())
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
    assert await store.write(interruptions.recover, job.id, now_ms()) is None
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
        await store.write(steps.begin_try, fence, 1, now_ms())
    if cancelled:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert await store.write(interruptions.recover, job.id, now_ms()) is status
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
        lambda db: steps.begin_try(db, fence, 2, now_ms()),
        lambda db: steps.save_reference(db, fence, 1, {"run": "1"}),
        lambda db: steps.record_event(db, fence, "step.output", now_ms(), None, {}),
        lambda db: steps.add_usage(db, fence, place, Usage(1, 1, 1.0), now_ms()),
        lambda db: steps.open_step(
            db, fence, now_ms(), phase=Phase.EXECUTION, type_=StepType.AI_ACTION, name="agent", number=2
        ),
    )


async def test_no_try_is_started_twice(store: Store) -> None:
    job, fence = await running(store)
    await store.write(steps.begin_try, fence, 1, now_ms())
    with pytest.raises(Exception, match="UNIQUE"):
        await store.write(steps.begin_try, fence, 1, now_ms())
    await store.write(steps.begin_try, fence, 2, now_ms())
    assert (await detail(store, job)).tries.used == 2


async def test_a_step_ended_by_recovery_is_not_ended_again(store: Store) -> None:
    job, fence = await running(store)
    place = await open_step(store, fence)
    await store.write(interruptions.recover, job.id, now_ms())
    before_it = await everything(store)
    await store.write(
        steps.close_step, fence, place, now_ms(), status=StepStatus.COMPLETED, exit_code=0, output="", output_bytes=0
    )
    assert await everything(store) == before_it


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
