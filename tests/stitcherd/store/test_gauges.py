"""What the store holds: unfinished jobs and unsent answers, and how long the oldest of them wait."""

from collections.abc import Callable
from typing import Any

from shared.models import AnswerState
from stitcherd.store import scheduling, transitions
from stitcherd.store.db import Db
from stitcherd.store.gauges import StoreGauges, read_gauges
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch

NOW = 1_795_356_300_000


def add_answer(db: Db, state: AnswerState, since: int) -> None:
    db.execute(
        "INSERT INTO answers (id, tail, workspace, source, repository, slot, present_repository, present_slot, kind,"
        " desired, priority, state, due_at, pending_since, created_at)"
        " VALUES (:id, '', 'default', 'hub', 'o/r', :id, 'o/r', :id, 'comment', '{}', 1, :state, 9, :since, 9)",
        {"id": f"comment:{since}", "state": state, "since": since},
    )


async def gauges(store: Store) -> StoreGauges:
    async with store.reading() as db:
        return await read_gauges(db)


async def test_an_empty_store(store: Store) -> None:
    nothing = StoreGauges(
        jobs={"pending": 0, "queued": 0, "running": 0},
        oldest_queued_at=None,
        paused=False,
        answers={"pending": 0, "sending": 0},
        oldest_answer_at=None,
    )
    assert await gauges(store) == nothing


async def test_jobs_of_all_workspaces_count_until_they_end(store: Store, new_job: Callable[..., Any]) -> None:
    first = await dispatch(store, new_job(), now=NOW)
    await dispatch(store, new_job(workspace="lab"), now=NOW + 5)
    await dispatch(store, new_job(), now=NOW + 7)
    await store.write(scheduling.pause, "uid:0", None, NOW)
    await store.write(transitions.start, first.id, 1, "me", NOW + 9)
    found = await gauges(store)
    assert found.jobs == {"pending": 0, "queued": 2, "running": 1}
    assert (found.oldest_queued_at, found.paused) == (NOW + 5, True)
    await store.write(transitions.cancel, first.id, "uid:0", None, NOW)
    await store.write(transitions.end_cancelled, first.id, NOW)
    assert (await gauges(store)).jobs == {"pending": 0, "queued": 2, "running": 0}


async def test_unsent_answers_count_since_they_are_pending(store: Store) -> None:
    for state, since in ((AnswerState.PENDING, 7), (AnswerState.SENDING, 5), (AnswerState.DELIVERED, 1)):
        await store.write(add_answer, state, since)
    found = await gauges(store)
    assert (found.answers, found.oldest_answer_at) == ({"pending": 1, "sending": 1}, 5)
