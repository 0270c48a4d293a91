"""A commit that passed and could not be published is kept with its queued job."""

import pytest

from shared.models import Failure, Result, RunnerJob, Status
from stitcherd.policy import ApprovalRequest, GrantedApproval
from stitcherd.rails.limits import concurrency_limits
from stitcherd.store import approvals, jobs, publications, retries, scheduling, transitions
from stitcherd.store.kept_commits import PublicationRetry, requeue_commit, retry_publication
from stitcherd.store.rulings import Ruling
from stitcherd.store.steps import Claimed, Fence
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import approval_request, dispatch, new_job, reevaluation

CHANGED = concurrency_limits(rails_digest="r2")
SAME = concurrency_limits(rails_digest="r1")
RESULT = Result("c" * 40, 1, 2, 3, "+2 -3 in 1 file")
GIVEN_UP = Failure("publish_failed", "the forge is away")
RETRY = PublicationRetry("the forge is away", (5_000, 15_000), 60_000, GIVEN_UP)
KEPT = approval_request(guards=(), attempt=1, commit="c" * 40, base="b" * 40, judged_by="r1")


async def detail(store: Store, job: RunnerJob) -> RunnerJob:
    async with store.reading() as db:
        return await jobs.get_job_detail(db, job.id, None)


async def granted(store: Store, job: RunnerJob) -> tuple[ApprovalRequest, bool] | None:
    async with store.reading() as db:
        [found] = await db.execute_fetchall("SELECT key FROM jobs WHERE id = ?", [job.id])
        return await approvals.find_granted(db, found["key"], job.attempt)


@pytest.mark.parametrize("guarded", [False, True])
async def test_a_commit_that_was_not_published_is_kept_and_judged_again(store: Store, guarded: bool) -> None:
    job = await dispatch(store, new_job(approval=approval_request() if guarded else None))
    if guarded:
        await store.write(approvals.approve, job.id, "source:forge/ann", None, 1, None, "7")
    await store.write(transitions.start, job.id, 1, "me", 1)
    kept = approval_request(guards=(), attempt=1, commit="c" * 40, base="b" * 40, judged_by="r1")
    assert await store.write(requeue_commit, job.id, (1, "other"), 1, kept) is None
    assert await store.write(requeue_commit, job.id, (1, "me"), 1, kept) is Status.QUEUED
    queued = await detail(store, job)
    assert (queued.attempt, queued.last_event, queued.held is not None) == (1, "job.queued", True)
    found = await granted(store, job)
    assert found is not None
    request, changed = found
    assert (request.commit, request.judged_by, request.judged_under, changed) == ("c" * 40, "r1", "r1", False)
    assert bool(request.guards) is guarded, "an approval that a guard required is kept"
    async with store.reading() as db:
        known = await approvals.find_approval(db, job.id)
    by = ("source:forge/ann", "7") if guarded else ("rails", None)
    assert known is not None
    assert known[1] == GrantedApproval(request, *by)
    ruling = Ruling(queued.version, reevaluation())
    assert isinstance(await store.write(scheduling.claim, job.id, 1, "me", 1, CHANGED, ruling), Claimed)
    found = await granted(store, job)
    assert found is not None
    assert found[1], "the rails have changed since it passed its gates"


async def test_a_cancel_wins_over_the_commit_that_was_not_published(store: Store) -> None:
    job = await dispatch(store, new_job())
    await store.write(transitions.start, job.id, 1, "me", 1)
    await store.write(transitions.cancel, job.id, "uid:0", None, 1)
    kept = approval_request(guards=(), attempt=1, commit="c" * 40)
    assert await store.write(requeue_commit, job.id, (1, "me"), 1, kept) is Status.CANCELLED
    assert await granted(store, job) is None


async def push(store: Store, fence: Fence, now: int) -> None:
    assert await store.write(publications.begin_publication, fence, RESULT, now, "r1")


async def start(store: Store, job: RunnerJob, now: int) -> Fence | None:
    claimed = await store.write(scheduling.claim, job.id, job.attempt, "me", now, SAME)
    return claimed.fence if isinstance(claimed, Claimed) else None


async def startable(store: Store, now: int) -> tuple[bool, int]:
    held, found = await store.write(scheduling.find_startable, SAME, 9, now)
    return held, len(found)


async def test_a_push_is_tried_again_after_growing_delays(store: Store) -> None:
    job = await dispatch(store, new_job())
    now = 1_000
    for delay in (5_000, 15_000, 15_000):
        fence = await start(store, job, now)
        assert fence
        await push(store, fence, now)
        status = await store.write(retry_publication, job.id, (1, "me"), now, KEPT, RETRY)
        queued = await detail(store, job)
        assert (status, queued.status, queued.held) == (Status.QUEUED, Status.QUEUED, "the forge is away")
        assert await startable(store, now + delay - 1) == (True, 0)
        assert await start(store, job, now + delay - 1) is None
        now += delay
        assert await startable(store, now) == (True, 1)


async def test_a_push_is_given_up_after_some_time(store: Store) -> None:
    job = await dispatch(store, new_job())
    for now in (1_000, 61_001):
        fence = await start(store, job, now)
        assert fence
        await push(store, fence, now)
        await store.write(retry_publication, job.id, (1, "me"), now, KEPT, RETRY)
    ended = await detail(store, job)
    assert (ended.status, ended.error) == (Status.FAILED, GIVEN_UP)


async def test_a_job_whose_push_is_to_be_tried_again_can_be_cancelled_and_retried_at_once(store: Store) -> None:
    job = await dispatch(store, new_job())
    fence = await start(store, job, 1_000)
    assert fence
    await push(store, fence, 1_000)
    await store.write(retry_publication, job.id, (1, "me"), 1_000, KEPT, RETRY)
    assert (await store.write(transitions.cancel, job.id, "uid:0", None, 1_001)).status is Status.CANCELLED
    again = await store.write(retries.retry, job.id, "uid:0", 1_002, "r1")
    assert await start(store, again, 1_003), "a new attempt does not wait for the repository"
