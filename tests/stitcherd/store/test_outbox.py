"""Answers and the outbox: what is wanted last is sent, once at a time, and a failure is final for what it was about."""

from typing import Any, cast

import pytest

from shared.models import AnswerState, Failure, JobAnswer, JobChange
from stitcherd.errors import Refusal
from stitcherd.store import answers, jobs, outbox, retention
from stitcherd.store.answers import EDIT_INTERVAL, DesiredAnswer
from stitcherd.store.db import Row
from stitcherd.store.events import followed_events
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job

LOCKED = Failure("locked", "the conversation is locked")
DELETED = Failure("deleted", "it is gone")


def wish(desired: str = "one", **more: Any) -> DesiredAnswer:
    defaults: dict[str, Any] = {
        "source": "forge",
        "workspace": "default",
        "repository": "acme/roof",
        "slot": "comment:issue/7",
        "kind": "comment",
        "job_id": "job-1",
        "desired": desired,
    }
    return DesiredAnswer(**defaults | more)


async def put(store: Store, *wanted: DesiredAnswer, now: int = 0, reported: int = 0) -> frozenset[str]:
    return await store.write(answers.put_answers, wanted, reported, now)


async def take(store: Store, now: int = 0) -> outbox.TakenAnswer:
    taken = await store.write(outbox.take_answer, "forge", now)
    assert taken is not None
    return taken


async def row(store: Store) -> Row:
    async with store.reading() as db:
        (found,) = await db.execute_fetchall("SELECT * FROM answers")
    return cast(Row, found)


async def events(store: Store) -> list[tuple[str, str]]:
    async with store.reading() as db:
        return [
            (each["type"], each["payload"])
            for each in await db.execute_fetchall("SELECT * FROM events WHERE type LIKE 'answer.%'")
        ]


async def test_only_the_newest_wish_is_sent_and_the_same_one_is_none(store: Store) -> None:
    assert await put(store, wish("one")) == {"forge"}
    assert await put(store, wish("two")) == {"forge"}
    assert await put(store, wish("two", repository="Acme/Roof")) == frozenset()
    taken = await take(store)
    assert (taken.desired, taken.generation, taken.tries, taken.uncertain) == ("two", 2, 1, False)
    assert await store.write(outbox.take_answer, "forge", 0) is None
    await store.write(outbox.note_sent, taken, "991", "https://forge/991", 10)
    found = await row(store)
    assert (found["state"], found["remote_id"], found["sent"], found["tries"]) == ("delivered", "991", 2, 0)


async def test_a_wish_during_the_sending_is_sent_after_the_interval(store: Store) -> None:
    await put(store, wish("one"))
    taken = await take(store)
    await put(store, wish("two"), now=5)
    await store.write(outbox.note_sent, taken, "991", None, 10)
    assert await store.write(outbox.take_answer, "forge", 10 + EDIT_INTERVAL - 1) is None
    again = await take(store, 10 + EDIT_INTERVAL)
    assert (again.desired, again.remote_id) == ("two", "991")


async def test_edits_have_the_interval_between_them(store: Store) -> None:
    await put(store, wish("one"))
    await store.write(outbox.note_sent, await take(store), "991", None, 10)
    await put(store, wish("two"), now=20)
    async with store.reading() as db:
        assert await outbox.next_due(db, "forge") == 10 + EDIT_INTERVAL
        assert await outbox.next_due(db, "other") is None


async def test_the_highest_priority_is_sent_first(store: Store) -> None:
    slots = [("denied", -1), ("comment", 0), ("eyes", 1)]
    await put(store, *(wish(slot=slot, priority=priority) for slot, priority in slots))
    assert [(await take(store)).slot for _ in slots] == ["eyes", "comment", "denied"]


async def test_a_refused_answer_is_not_sent_again_for_the_same_job(store: Store) -> None:
    await put(store, wish("one"))
    await store.write(outbox.note_failed, await take(store), LOCKED, 10)
    assert await put(store, wish("two")) == frozenset()
    assert await store.write(outbox.take_answer, "forge", 10**9) is None
    assert await put(store, wish("two", job_id="job-2"), now=20) == {"forge"}
    taken = await take(store, 20)
    assert (taken.tries, taken.job_id) == (1, "job-2")


@pytest.mark.parametrize(("failure", "remote_id"), [(DELETED, None), (LOCKED, "991")])
async def test_the_next_job_makes_a_deleted_answer_anew(store: Store, failure: Failure, remote_id: str | None) -> None:
    await put(store, wish("one"))
    await store.write(outbox.note_sent, await take(store), "991", "https://forge/991", 0)
    await put(store, wish("two"))
    await store.write(outbox.note_failed, await take(store, EDIT_INTERVAL), failure, EDIT_INTERVAL)
    await put(store, wish("two", job_id="job-2"), now=10**6)
    assert (await take(store, 10**6)).remote_id == remote_id


async def test_a_postponed_answer_waits_and_a_hold_uses_no_try(store: Store) -> None:
    await put(store, wish())
    await store.write(outbox.postpone, await take(store), 500, counted=False)
    assert await store.write(outbox.take_answer, "forge", 499) is None
    taken = await take(store, 500)
    assert (taken.tries, taken.uncertain) == (1, False)
    await store.write(outbox.postpone, taken, 600, uncertain=True)
    await put(store, wish("two"))
    taken = await take(store, 600)
    assert (taken.tries, taken.uncertain, taken.desired) == (2, True, "two")


async def test_what_was_being_sent_when_the_daemon_ended_may_be_there(store: Store) -> None:
    await put(store, wish())
    await take(store, 100)
    await store.write(outbox.recover_answers, "forge", 10_000, 100)
    assert await store.write(outbox.take_answer, "forge", 10_099) is None
    assert (await take(store, 10_100)).uncertain


async def test_a_late_result_changes_nothing(store: Store) -> None:
    await put(store, wish())
    taken = await take(store)
    await store.write(outbox.recover_answers, "forge", 0, 10)
    await store.write(outbox.note_sent, taken, "991", None, 10)
    await store.write(outbox.note_failed, taken, LOCKED, 10)
    assert ((await row(store))["state"], await events(store)) == ("pending", [])


async def test_results_are_events_of_the_job(store: Store) -> None:
    job = await dispatch(store, new_job())
    await put(store, wish(job_id=job.id), wish(slot="status:1", kind="status", job_id=job.id))
    await store.write(outbox.note_sent, await take(store), "991", "https://forge/991", 10)
    await store.write(outbox.note_failed, await take(store), LOCKED, 10)
    assert [type_ for type_, _ in await events(store)] == ["answer.sent", "answer.failed"]
    (_, sent), (_, failed) = await events(store)
    assert '"kind":"comment","url":"https://forge/991"' in sent
    assert '"kind":"status","code":"locked","detail":"the conversation is locked"' in failed
    async with store.reading() as db:
        detail = await jobs.get_job_detail(db, job.id, None)
    assert detail.answers == (
        JobAnswer("comment", AnswerState.DELIVERED, "https://forge/991", None),
        JobAnswer("status", AnswerState.FAILED, None, LOCKED),
    )
    assert detail.change is None


async def test_an_opened_change_belongs_to_its_job(store: Store) -> None:
    job = await dispatch(store, new_job())
    await put(store, wish(slot="change:b", kind="change", job_id=job.id))
    await store.write(outbox.note_sent, await take(store), "12", "https://forge/12", 10)
    async with store.reading() as db:
        assert (await jobs.get_job_detail(db, job.id, None)).change == JobChange(12, "https://forge/12")


async def test_an_operator_lets_an_answer_be_sent_again(store: Store) -> None:
    await put(store, wish())
    taken = await take(store)
    with pytest.raises(Refusal, match="is sending"):
        await store.write(outbox.retry_answer, taken.id, 20)
    await store.write(outbox.note_failed, taken, DELETED, 10)
    again = await store.write(outbox.retry_answer, taken.id, 20)
    assert (again.state, again.tries, again.error) == (AnswerState.PENDING, 0, None)
    await store.write(outbox.postpone, await take(store, 20), 10**9)
    await store.write(outbox.retry_answer, taken.id, 30)
    await store.write(outbox.note_sent, await take(store, 30), "991", None, 40)
    with pytest.raises(Refusal, match="is delivered"):
        await store.write(outbox.retry_answer, taken.id, 50)
    with pytest.raises(Refusal, match="there is no answer 'nobody'"):
        await store.write(outbox.retry_answer, "nobody", 50)


async def test_pages_are_narrowed_by_state_and_workspace(store: Store) -> None:
    await put(store, *(wish(slot=f"status:{at}", kind="status") for at in range(3)), wish(workspace="far"))
    await store.write(outbox.note_failed, await take(store), LOCKED, 10)
    async with store.reading() as db:
        page = await answers.answer_page(db, answers.AnswerFilter(workspace="default"), 2)
        assert [each.slot for each in page.items] == ["status:2", "status:1"]
        rest = await answers.answer_page(db, answers.AnswerFilter(workspace="default", before=page.next), 2)
        assert ([each.slot for each in rest.items], rest.next) == (["status:0"], None)
        (failed,) = (await answers.answer_page(db, answers.AnswerFilter(states=(AnswerState.FAILED,)), 9)).items
        assert (failed.error, failed.due_at, failed.created_at) == (LOCKED, None, "1970-01-01T00:00:00.000Z")
        assert await answers.get_answer(db, failed.id[-8:], "default") == failed
        with pytest.raises(Refusal, match="there is no answer"):
            await answers.get_answer(db, failed.id, "far")


async def test_reporting_begins_now_and_goes_on_where_it_was(store: Store) -> None:
    await dispatch(store, new_job())
    begun = await store.write(answers.begin_reporting)
    async with store.reading() as db:
        assert await followed_events(db, begun, {"job.created"}, 10) == ([], begun)
    job = await dispatch(store, new_job())
    async with store.reading() as db:
        found, after = await followed_events(db, begun, {"job.created", "job.started"}, 10)
    assert [(each.type, each.job) for each in found] == [("job.created", job.id)]
    assert after == begun + 2  # created and queued
    await put(store, reported=after)
    assert await store.write(answers.begin_reporting) == after


async def test_what_no_target_is_left_for_fails(store: Store) -> None:
    told: dict[str, Any] = {"kind": "notification", "job_id": None}
    await put(store, wish(), wish(source="notify:a", slot="1", **told), wish(source="notify:b", slot="2", **told))
    taken = await store.write(outbox.take_answer, "notify:b", 0)
    assert taken is not None
    await store.write(outbox.abandon_notifications, {"notify:a": None}, 5)
    async with store.reading() as db:
        items = (await answers.answer_page(db, answers.AnswerFilter(), 9)).items
    assert {each.source: (each.state, each.error and each.error.code) for each in items} == {
        "forge": ("pending", None),
        "notify:a": ("pending", None),
        "notify:b": ("failed", "gone"),
    }
    assert [type_ for type_, _ in await events(store)] == ["answer.failed"]
    await store.write(outbox.abandon_notifications, {}, 6)
    assert len(await events(store)) == 2


async def test_retention_removes_old_answers_but_none_that_is_pending_or_of_an_open_job(store: Store) -> None:
    job = await dispatch(store, new_job())
    await put(store, wish(), wish(slot="status:1", job_id=job.id), wish(slot="status:2"))
    for _ in range(2):
        await store.write(outbox.note_sent, await take(store), "991", None, 10)
    assert await store.write(retention.prune_answers, 10) == 0
    assert await store.write(retention.prune_answers, 11) == 1
    async with store.reading() as db:
        kept = (await answers.answer_page(db, answers.AnswerFilter(), 9)).items
    assert [each.slot for each in kept] == ["status:2", "status:1"]


async def test_the_end_of_a_hold_lets_everything_be_sent_but_uncertain_tries_and_early_edits(store: Store) -> None:
    await put(store, wish(slot="held"), wish(slot="unsure"))
    await store.write(outbox.postpone, await take(store), 900_000, counted=False)
    await store.write(outbox.postpone, await take(store), 900_000, uncertain=True)
    await put(store, wish(slot="sent"))
    await store.write(outbox.note_sent, await take(store), "991", None, 10)
    await put(store, wish("two", slot="sent"), now=20)
    await store.write(outbox.end_waits, "forge", 20)
    assert (await take(store, 20)).slot == "held"
    assert await store.write(outbox.take_answer, "forge", 20) is None
    assert (await take(store, 10 + EDIT_INTERVAL)).slot == "sent"
    assert await store.write(outbox.take_answer, "forge", 800_000) is None
