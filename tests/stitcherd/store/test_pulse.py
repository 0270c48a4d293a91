"""The pulse: what ended lately, what waits and since when, and who let nothing start; and what a waiting job tells."""

from collections.abc import Callable
from typing import Any

from shared.api import Pulse
from shared.ids import format_timestamp, new_id
from shared.models import Decision, RunnerJob, Thread, Verdict
from stitcherd.store import jobs, retries, scheduling, transitions
from stitcherd.store.pulse import MINUTES, read_pulse
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import approval_request, deliver, dispatch

Make = Callable[..., Any]
NOW = 1_795_356_300_000
MINUTE = 60_000


async def add(store: Store, job: jobs.NewJob, decision: Decision, at: int) -> RunnerJob:
    return await dispatch(store, job, decision, at)


async def pulse(store: Store, workspace: str | None = None) -> Pulse:
    async with store.reading() as db:
        return await read_pulse(db, workspace, NOW)


async def test_an_empty_store(store: Store) -> None:
    assert await pulse(store) == Pulse((0,) * MINUTES, 0, None, paused=False, paused_by=None, reason=None)


async def test_ended_jobs_are_counted_in_their_minute(store: Store, new_job: Make, allowed: Decision) -> None:
    for ago in (0, 30_000, MINUTE, 3 * MINUTE + 1, MINUTES * MINUTE - 1, MINUTES * MINUTE, 90 * MINUTE):
        job = await add(store, new_job(), allowed, NOW - ago - 1000)
        await store.write(transitions.cancel, job.id, "uid:0", None, NOW - ago)
    lab = await add(store, new_job(workspace="lab"), allowed, NOW - 1000)
    await store.write(transitions.cancel, lab.id, "uid:0", None, NOW)
    assert (await pulse(store)).ended == (1, 0, 0, 0, 1, 0, 1, 3)
    assert (await pulse(store, "lab")).ended == (0,) * (MINUTES - 1) + (1,)


async def test_the_oldest_queued_job_is_the_one_that_waits_longest(
    store: Store, new_job: Make, allowed: Decision
) -> None:
    first = await add(store, new_job(), allowed, NOW - 9 * MINUTE)
    second = await add(store, new_job(), allowed, NOW - 5 * MINUTE)
    assert ((await pulse(store)).queued, (await pulse(store)).oldest_queued_at) == (2, first.queued_at)
    await store.write(transitions.cancel, first.id, "uid:0", None, NOW - MINUTE)
    await store.write(retries.retry, first.id, "uid:0", NOW - MINUTE)  # to the end of the queue, whatever its age
    assert ((await pulse(store)).queued, (await pulse(store)).oldest_queued_at) == (2, second.queued_at)
    assert ((await pulse(store, "lab")).queued, (await pulse(store, "lab")).oldest_queued_at) == (0, None)


async def test_a_pause_names_its_actor_and_reason(store: Store) -> None:
    await store.write(scheduling.pause, "uid:1000", "a release", NOW)
    found = await pulse(store)
    assert (found.paused, found.paused_by, found.reason) == (True, "uid:1000", "a release")
    await store.write(scheduling.resume)
    assert not (await pulse(store)).paused


async def test_a_waiting_job_shows_its_request_until_it_no_longer_waits(
    store: Store, new_job: Make, new_delivery: Make
) -> None:
    thread, delivery = Thread("issue", 7), new_id()
    decision = Decision(Verdict.WAITING, "guard stranger", "r1", trigger="word")
    new = new_delivery(id=delivery, thread=thread, decision=decision)
    request = approval_request(expires_at=NOW)
    job = await deliver(store, new, new_job(thread=thread, delivery_id=delivery, approval=request))
    for _ in range(2):
        async with store.reading() as db:
            listed = (await jobs.job_page(db, jobs.JobFilter(), 9)).items[0].waiting
            shown = (await jobs.get_job_detail(db, job.id, None)).waiting
        assert listed == shown
        if shown is None:
            break
        assert (shown.guards, shown.by, shown.expires_at) == (
            ("stranger", "big"),
            ("chiefs", "crew"),
            format_timestamp(NOW),
        )
        await store.write(transitions.deny, job.id, "uid:0", "no", NOW)
    assert shown is None
