"""Who is told of which events: once each, of what is new, and never of what became of a notification."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from shared.api import Answer
from shared.ids import now_ms
from shared.models import Failure
from stitcherd.config.notify import NotifySettings
from stitcherd.reporting.follower import Follower
from stitcherd.reporting.notification_planner import AGE_MAX, NotificationPlanner
from stitcherd.store import answers, jobs, outbox, transitions
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.events import FollowedEvent, add_events, new_event
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import approval_request, deliver, dispatch, new_delivery, new_job
from tests.stores import open_store

FAILED = Failure("gate_failed", "tests ended with 1")


class Told(Struct):
    """A store and a follower of its events for targets; `woken` are the targets with something to send."""

    store: Store
    woken: list[str]
    now: int = 0

    def follower(self, **targets: dict[str, Any]) -> Follower:
        settings = {f"notify:{name}": NotifySettings(run=("true",), **keys) for name, keys in targets.items()}
        planner = NotificationPlanner(self.store, settings, lambda: self.now or now_ms())
        return Follower(self.store, (planner,), self.woken.extend)

    async def fail_a_job(self, **more: Any) -> str:
        job = await dispatch(self.store, new_job(**more))
        await self.store.write(transitions.start, job.id, 1, "owner", now_ms())
        await self.store.write(transitions.conclude, job.id, (1, "owner"), now_ms(), FAILED)
        return job.id

    async def answers(self) -> list[Answer]:
        async with self.store.reading() as db:
            return list(reversed((await answers.answer_page(db, answers.AnswerFilter(), 100)).items))


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    store = await open_store(tmp_path / "stitcher.db")
    yield Told(store, [])
    await store.close()


async def test_each_target_is_told_once_of_the_events_that_it_names(told: Told) -> None:
    follower = told.follower(a={"on": ("job.failed",)}, b={"on": ("job.failed", "job.started")})
    begun = await follower.begin()
    job = await told.fail_a_job(repository="acme/roof")
    after = await follower.follow(begun)
    found = await told.answers()
    assert [(each.source, each.slot.partition("/")[0]) for each in found] == [
        ("notify:b", "notification:job.started"),
        ("notify:a", "notification:job.failed"),
        ("notify:b", "notification:job.failed"),
    ]
    assert {(each.kind, each.repository, each.job_id) for each in found} == {("notification", "acme/roof", job)}
    assert sorted(told.woken) == ["notify:a", "notify:b"]
    assert await follower.follow(begun) == after  # read again, as after a crash: nothing changes
    assert len(await told.answers()) == 3


async def test_what_was_told_is_not_told_again_as_it_is_now(told: Told) -> None:
    follower = told.follower(a={"on": ("job.failed",)})
    begun = await follower.begin()
    await told.fail_a_job()
    await follower.follow(begun)
    taken = await told.store.write(outbox.take_answer, "notify:a", now_ms())
    assert taken is not None
    await told.store.write(outbox.note_sent, taken, None, None, now_ms())
    await told.store.write(lambda db: db.execute("UPDATE jobs SET type = 'another'").rowcount)
    await follower.follow(begun)
    assert [each.state for each in await told.answers()] == ["delivered"]


async def test_what_became_of_a_notification_is_told_to_nobody(told: Told) -> None:
    follower = told.follower(a={"on": ("answer.failed", "answer.sent", "source.held")})
    begun = await follower.begin()
    now = now_ms()
    await told.store.write(outbox.note_held, "hub", "default", "why", now, now)
    after = await follower.follow(begun)
    for source, kind in (("notify:a", "notification"), ("hub", "comment")):
        wanted = answers.DesiredAnswer(
            source=source, workspace="default", repository="a/b", slot="slot", kind=kind, desired="{}"
        )
        await told.store.write(answers.put_answers, (wanted,), after, now)
        for _ in range(2 if source == "notify:a" else 1):
            taken = await told.store.write(outbox.take_answer, source, now_ms())
            assert taken is not None
            await told.store.write(outbox.note_failed, taken, Failure("gave_up", "no"), now_ms())
    await follower.follow(after)
    slots = [each.slot.partition("/")[0] for each in await told.answers() if each.kind == "notification"]
    assert slots == ["notification:source.held", "slot", "notification:answer.failed"]


async def test_a_target_of_a_workspace_is_told_of_it_and_of_what_belongs_to_all(told: Told) -> None:
    on = ("job.failed", "rails.rejected")
    follower = told.follower(far={"on": on, "workspace": "far"}, all={"on": on})
    begun = await follower.begin()
    await told.fail_a_job()
    await told.fail_a_job(workspace="far")
    await told.store.write(add_events, new_event("rails.rejected", actor="stitcherd", now=now_ms()))
    await follower.follow(begun)
    assert [(each.source, each.slot.split(":")[1].split("/")[0]) for each in await told.answers()] == [
        ("notify:all", "job.failed"),
        ("notify:far", "job.failed"),
        ("notify:all", "job.failed"),
        ("notify:far", "rails.rejected"),
        ("notify:all", "rails.rejected"),
    ]
    async with told.store.reading() as db:
        rows = await db.execute_fetchall("SELECT workspace FROM answers ORDER BY key")
    assert [row["workspace"] for row in rows] == ["default", "far", "far", "far", "default"]


async def test_what_happened_long_ago_is_no_news(told: Told) -> None:
    follower = told.follower(a={"on": ("job.failed",)})
    begun = await follower.begin()
    await told.fail_a_job()
    told.now = now_ms() + AGE_MAX + 1000
    await follower.follow(begun)
    assert await told.answers() == []


async def test_a_waiting_job_is_told_with_its_delivery(told: Told) -> None:
    follower = told.follower(a={"on": ("job.waiting",)})
    begun = await follower.begin()
    delivery = new_delivery()
    job = new_job(approval=approval_request(), delivery_id=delivery.id)
    await deliver(told.store, delivery, job)
    await follower.follow(begun)
    (answer,) = await told.answers()
    assert (answer.job_id, answer.delivery_id) == (job.id, delivery.id)
    async with told.store.reading() as db:
        (row,) = await db.execute_fetchall("SELECT desired FROM answers")
        found = await jobs.get_job_detail(db, job.id, None)
    assert '"reason":"required by stranger, big"' in row["desired"]
    assert '"source":"forge"' in row["desired"]
    assert isinstance(found.answers, tuple)
    assert [(each.kind, each.state) for each in found.answers] == [("notification", "pending")]


class Recorder:
    """A planner that wants nothing; `seen` are the types of events that it was given."""

    def __init__(self, *followed: str) -> None:
        self.followed = followed
        self.seen: list[str] = []

    async def plan(self, events: Sequence[FollowedEvent]) -> list[DesiredAnswer]:
        self.seen += [event.type for event in events]
        return []


async def test_each_planner_is_given_the_events_that_it_follows(told: Told) -> None:
    one, other = Recorder("job.failed", "job.created"), Recorder("job.started")
    follower = Follower(told.store, (one, other), told.woken.extend)
    begun = await follower.begin()
    await told.fail_a_job()
    await follower.follow(begun)
    assert (one.seen, other.seen) == (["job.created", "job.failed"], ["job.started"])
