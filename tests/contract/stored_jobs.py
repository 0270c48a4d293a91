"""Jobs in each status for the contract of the store, and all that a transition could change."""

from typing import Any

from shared.ids import now_ms
from shared.models import Decision, Failure, Phase, Result, RunnerJob, Status, StepType, Thread, Verdict
from stitcherd.store import events, jobs, steps, transitions
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

ALLOWED = Decision(Verdict.ALLOWED, "trigger word", "r1", trigger="word")


RESULT = Result("c0ffee", 1, 2, 3, "three lines")


FAILURE = Failure("gates_failed", "gate tests failed")


THREAD = Thread("issue", 7, "It leaks", author="forge:ann")


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
        tables = (
            *("jobs", "job_texts", "steps", "starts", "events", "job_counts", "deliveries", "decisions"),
            *("job_stats", "gate_stats"),
        )
        return [[tuple(row) for row in await db.execute_fetchall(f"SELECT * FROM {table}")] for table in tables]


async def open_step(store: Store, fence: steps.Fence, type_: StepType = StepType.GATE) -> steps.StepPlace:
    return await store.write(
        steps.open_step, fence, now_ms(), phase=Phase.VALIDATION, type_=type_, name="tests", number=1
    )
