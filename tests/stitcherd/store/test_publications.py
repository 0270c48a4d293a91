"""Tests publications: what they keep from being cancelled, and how a crash during one is concluded."""

import pytest

from shared.ids import now_ms
from shared.models import Failure, Phase, Result, Status, StepType
from stitcherd.errors import Refusal
from stitcherd.store import interruptions, jobs, publications, steps, transitions
from stitcherd.store.steps import Fence, Superseded
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

RESULT = Result("c" * 40, 1, 2, 3, "+2 -3 in 1 file")


async def start(store: Store) -> Fence:
    job = await dispatch(store, new_job())
    started = await store.write(transitions.start, job.id, 1, "me", now_ms())
    assert started
    return started[1]


async def test_from_the_push_on_a_job_is_not_cancellable(store: Store) -> None:
    fence = await start(store)
    assert await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    for _ in range(2):
        with pytest.raises(Refusal, match="is being published") as refused:
            await store.write(transitions.cancel, fence.job_id, "uid:0", None, now_ms())
        assert refused.value.code == "not_cancellable"
    assert await store.write(transitions.conclude, fence.job_id, (1, "me"), now_ms(), RESULT) is Status.COMPLETED


async def test_only_jobs_whose_push_goes_on_are_publishing(store: Store) -> None:
    pushing, failed, abandoned = [await start(store) for _ in range(3)]
    await start(store)
    for fence in (pushing, failed, abandoned):
        await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    await store.write(transitions.conclude, failed.job_id, (1, "me"), now_ms(), Failure("publish_failed", "x"))
    await store.write(publications.abandon_publication, abandoned.job_id, (1, "me"))
    async with store.reading() as db:
        assert await publications.publishing_jobs(db) == {pushing.job_id}


async def test_a_cancel_that_came_first_wins(store: Store) -> None:
    fence = await start(store)
    await store.write(transitions.cancel, fence.job_id, "uid:0", None, now_ms())
    assert not await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    async with store.reading() as db:
        assert await publications.find_unfinished(db, fence.job_id) is None


@pytest.mark.parametrize("in_force", ["r2", None])
async def test_nothing_is_published_under_other_rails_than_it_was_decided_under(
    store: Store, in_force: str | None
) -> None:
    fence = await start(store)
    with pytest.raises(publications.OtherRails):
        await store.write(publications.begin_publication, fence, RESULT, now_ms(), in_force)
    async with store.reading() as db:
        assert await publications.find_unfinished(db, fence.job_id) is None
    await store.write(transitions.cancel, fence.job_id, "uid:0", None, now_ms())
    assert not await store.write(publications.begin_publication, fence, RESULT, now_ms(), in_force)


async def test_only_the_owner_of_the_attempt_publishes(store: Store) -> None:
    fence = await start(store)
    await store.write(transitions.conclude, fence.job_id, (1, "me"), now_ms(), Failure("x", "x"))
    with pytest.raises(Superseded):
        await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")


async def test_a_publication_that_never_arrived_can_be_cancelled_again_and_is_remembered(store: Store) -> None:
    fence = await start(store)
    await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    await store.write(publications.abandon_publication, fence.job_id, (1, "me"))
    async with store.reading() as db:
        assert await publications.find_unfinished(db, fence.job_id) is None
        assert await publications.published_commits(db, fence.key) == (RESULT.commit,)
    assert (await store.write(transitions.cancel, fence.job_id, "uid:0", None, now_ms())).cancel_requested


async def test_the_next_attempt_can_be_cancelled(store: Store) -> None:
    fence = await start(store)
    await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    await store.write(interruptions.requeue, fence.job_id, (1, "me"), now_ms(), "away")
    assert (await store.write(transitions.cancel, fence.job_id, "uid:0", None, now_ms())).status is Status.CANCELLED


async def test_what_was_published_before_a_crash_is_completed_with_its_steps(store: Store) -> None:
    fence = await start(store)
    await store.write(
        lambda db: steps.open_step(
            db, fence, now_ms(), phase=Phase.CLEANUP, type_=StepType.ARTIFACT, name="publish", number=None
        )
    )
    await store.write(publications.begin_publication, fence, RESULT, now_ms(), "r1")
    async with store.reading() as db:
        unfinished = await publications.find_unfinished(db, fence.job_id)
    assert unfinished is not None
    assert (unfinished.job.id, unfinished.result) == (fence.job_id, RESULT)
    ended = await store.write(publications.conclude_unfinished, fence.job_id, (1, "me"), RESULT, now_ms())
    assert ended is Status.COMPLETED
    async with store.reading() as db:
        job = await jobs.get_job_detail(db, fence.job_id, None)
    assert job.result == RESULT
    assert isinstance(job.steps, tuple)
    assert [step.status for step in job.steps] == ["COMPLETED"]
