"""Queued jobs whose rails have changed do not start without a ruling, which applies only to what it was made about."""

from typing import Any

import pytest
from msgspec import structs

from shared.models import Decision, RunnerJob, Status, Verdict
from stitcherd.errors import Refusal
from stitcherd.rails.limits import concurrency_limits
from stitcherd.store import approvals, jobs, retries, scheduling, transitions
from stitcherd.store.rulings import Denial, RailsChanged, Ruling, Undecided
from stitcherd.store.steps import Claimed
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import ALLOWED_AGAIN, approval_request, dispatch, new_job, reevaluation

CHANGED = concurrency_limits(rails_digest="r2")
DENIED = Decision(Verdict.DENIED, "who: not any more", "r-r2", "r2")


async def claim(store: Store, job: RunnerJob, ruling: Ruling | None = None) -> Any:
    return await store.write(scheduling.claim, job.id, job.attempt, "me", 1, CHANGED, ruling)


async def detail(store: Store, job: RunnerJob) -> RunnerJob:
    async with store.reading() as db:
        return await jobs.get_job_detail(db, job.id, None)


async def test_a_job_of_other_rails_starts_only_with_their_ruling(store: Store) -> None:
    job = await dispatch(store, new_job())
    assert await claim(store, job) == RailsChanged(job)
    started = (await claim(store, job, Ruling(job.version, reevaluation()))).job
    assert (started.status, started.rails_digest, started.profile) == (Status.RUNNING, "r2", "careful")
    assert started.tries.max == 7
    assert (await detail(store, job)).decision == ALLOWED_AGAIN
    same = await dispatch(store, new_job(rails_digest="r2"))
    assert isinstance(await claim(store, same), Claimed)


@pytest.mark.parametrize("stale", ["version", "rails"])
async def test_a_ruling_on_what_has_changed_is_not_applied(store: Store, stale: str) -> None:
    job = await dispatch(store, new_job())
    found = (
        reevaluation(decision=structs.replace(ALLOWED_AGAIN, rails_digest="r3")) if stale == "rails" else reevaluation()
    )
    ruling = Ruling(job.version - (stale == "version"), found)
    assert await claim(store, job, ruling) == RailsChanged(job)


async def test_a_pause_precedes_the_question_and_limits_follow_it(store: Store) -> None:
    job = await dispatch(store, new_job())
    await store.write(scheduling.pause, "uid:0", None, 1)
    assert isinstance(await claim(store, job), scheduling.Held)
    await store.write(scheduling.resume)
    full = structs.replace(CHANGED, total=0)
    assert isinstance(await store.write(scheduling.claim, job.id, 1, "me", 1, full), RailsChanged)
    stopped = structs.replace(concurrency_limits(stopped="no rails"))
    assert await store.write(scheduling.claim, job.id, 1, "me", 1, stopped) == scheduling.Held("no rails", is_new=True)


async def test_a_denied_job_is_cancelled_and_asked_again_when_it_is_retried(store: Store) -> None:
    job = await dispatch(store, new_job())
    assert await claim(store, job, Ruling(job.version, Denial(DENIED, "the rails changed: who"))) is None
    ended = await detail(store, job)
    assert isinstance(ended.events, tuple)
    assert (ended.status, ended.last_event, ended.decision) == (Status.CANCELLED, "job.denied", DENIED)
    assert (ended.events[-1].actor, ended.events[-1].payload) == ("rails", {"reason": "the rails changed: who"})
    again = await store.write(retries.retry, job.id, "uid:0", 2, "r2")
    assert await claim(store, again) == RailsChanged(again)


async def test_a_retry_renews_a_decision_but_no_approval(store: Store) -> None:
    job = await dispatch(store, new_job())
    await store.write(transitions.cancel, job.id, "uid:0", None, 1)
    again = await store.write(retries.retry, job.id, "uid:0", 2, "r2")
    started = (await claim(store, again)).job
    assert (started.status, started.rails_digest) == (Status.RUNNING, "r1")
    other = await dispatch(store, new_job(approval=approval_request()))
    await store.write(approvals.approve, other.id, "uid:0", None, 1)
    await store.write(transitions.cancel, other.id, "uid:0", None, 1)
    again = await store.write(retries.retry, other.id, "uid:0", 2, "r2")
    assert await claim(store, again) == RailsChanged(again)


async def test_a_job_that_needs_an_approval_now_waits_for_it(store: Store) -> None:
    job = await dispatch(store, new_job())
    assert (
        await claim(store, job, Ruling(job.version, reevaluation(request=approval_request(rails_digest="r2")))) is None
    )
    waits = await detail(store, job)
    assert isinstance(waits.events, tuple)
    assert (waits.status, waits.last_event, waits.queued_at) == (Status.PENDING, "job.waiting", None)
    assert waits.events[-1].payload["reason"] == "the rails changed"
    await store.write(transitions.cancel, job.id, "uid:0", None, 1)
    with pytest.raises(Refusal, match="never approved"):
        await store.write(retries.retry, job.id, "uid:0", 2, "r2")


async def test_a_job_stays_queued_with_the_reason_while_its_rails_cannot_decide(store: Store) -> None:
    job = await dispatch(store, new_job())
    reason = "the forge does not tell a permission"
    undecided = Undecided(job.version, "r2", reason)
    assert await store.write(scheduling.claim, job.id, 1, "me", 1, CHANGED, undecided) == scheduling.Held(
        reason, is_new=True
    )
    held = await detail(store, job)
    assert (held.status, held.held) == (Status.QUEUED, reason)
    assert await store.write(scheduling.find_startable, CHANGED, 9, 1) == (True, [(job.id, 1, 5)])
    for stale in (Undecided(job.version - 1, "r2", reason), Undecided(job.version, "r3", reason)):
        assert isinstance(await store.write(scheduling.claim, job.id, 1, "me", 1, CHANGED, stale), RailsChanged)
