"""A poller, the fake of GitHub that it asks, and the intake that it gives the events to."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from shared.deliveries import Delivery
from shared.ids import format_timestamp
from stitcherd.metrics import REGISTRY
from stitcherd.polling.poller import Poller
from stitcherd.polling.repositories import PolledRepositories
from stitcherd.store.deliveries import DeliveryFilter, delivery_page
from stitcherd.store.errors import StorageUnavailable
from tests.forges.fake import START, Answer, FakeComment
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import connected
from tests.stitcherd.jobs.intake_harness import IntakeHarness, open_harness

RAILS = """
version: 1
mode: enforce
people:
  team: {users: ["hub:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write]}
triggers:
  - {id: command, on: [issue.comment, change.comment], command: fix, from: [team], job: fix}
  - {id: assigned, on: [issue.assigned], from: [team], job: fix}
  - {id: labeled, on: [issue.labeled, change.labeled], from: [team], labels: {all: [go]}, job: fix}
  - {id: review, on: [change.review_requested, change.opened], from: [team], job: fix}
"""
MINUTE = 60_000
TAKEN = {"source": "hub", "verdict": "allowed"}
API = PolledRepositories(("octo-org/api",))
_COMMENT = b'[{"id": 1, "created_at": "2026-11-22T15:00:00Z", "updated_at": "2026-11-22T15:00:00Z", "issue_url": "https://x/.."}]'
ELSEWHERE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(_COMMENT), _COMMENT)


class Clock:
    def __init__(self) -> None:
        self.now = int(START.timestamp() * 1000)

    def __call__(self) -> int:
        return self.now


class Polling(Struct):
    intake: IntakeHarness
    fake: FakeGitHub
    poller: Poller
    clock: Clock

    async def poll(self) -> list[Delivery]:
        """Poll an interval later; return the new deliveries, oldest first."""
        before = {each.id for each in await self.deliveries()}
        self.clock.now += MINUTE
        await self.poller.poll()
        return [each for each in await self.deliveries() if each.id not in before]

    async def deliveries(self) -> list[Delivery]:
        async with self.intake.store.reading() as db:
            return list(reversed((await delivery_page(db, DeliveryFilter(), 100)).items))

    def comment(self, text: str = "@mosaic fix", number: int = 479, by: int = 2) -> FakeComment:
        comment = self.fake.add_comment(self.fake.thread(number), self.fake.accounts[by], text)
        comment.created = comment.updated = self.time()
        return comment

    def event(self, event: str, number: int = 479, **more: Any) -> None:
        self.fake.add_event(event, number, self.fake.accounts[2], **more).at = self.time()

    def time(self) -> Any:
        return START + timedelta(milliseconds=self.clock.now - int(START.timestamp() * 1000), seconds=1)


@asynccontextmanager
async def open_polling(place: Path) -> AsyncIterator[Polling]:
    fake, clock = FakeGitHub(), Clock()
    async with open_harness(place, rails_text=RAILS) as intake, connected(fake, "github", now=clock) as api:
        source = intake.settings.sources["hub"].model_copy(update={"pull": 60.0})
        yield Polling(
            intake,
            fake,
            Poller(intake.store, source, api, API, intake.intake.take, clock),
            clock,
        )


@pytest.fixture
async def polling(tmp_path: Path) -> AsyncIterator[Polling]:
    async with open_polling(tmp_path) as opened:
        opened.fake.thread().created = opened.fake.thread(480).created = START - timedelta(days=1)
        opened.fake.thread().updated = opened.fake.thread(480).updated = START - timedelta(days=1)
        assert await opened.poll() == []
        yield opened


async def test_mentions_are_taken_once(polling: Polling) -> None:
    first, second = polling.comment(), polling.comment(number=480)
    counted = REGISTRY.get_sample_value("stitcher_deliveries_total", TAKEN) or 0
    found = await polling.poll()
    assert REGISTRY.get_sample_value("stitcher_deliveries_total", TAKEN) == counted + 2
    assert [(each.subject, each.trigger, each.sender, each.verdict) for each in found] == [
        (f"comment:{first.id}", "issue.comment", "hub:octocat", "allowed"),
        (f"comment:{second.id}", "change.comment", "hub:octocat", "allowed"),
    ]
    assert {(each.via, each.secret, each.external_id) for each in found} == {("pull", 0, None)}
    assert await polling.poll() == []


async def test_an_edit_of_an_old_comment_starts_nothing(polling: Polling) -> None:
    old = polling.comment("nothing yet")
    assert [each.verdict for each in await polling.poll()] == ["ignored"]
    for _ in range(4):
        await polling.poll()
        old.body, old.updated = "@mosaic fix", polling.time()
        assert await polling.poll() == []


async def test_assignments_labels_and_requests_come_from_who_caused_them(polling: Polling) -> None:
    bot = polling.fake.bot
    polling.event("assigned", whom=bot)
    polling.event("labeled", label="go")
    polling.event("review_requested", 480, whom=bot)
    polling.event("closed")
    at = format_timestamp(polling.clock.now + 1000)[:19] + "Z"
    found = await polling.poll()
    assert [(each.subject, each.trigger, each.sender) for each in found] == [
        (f"assigned:479:mosaic:{at}", "issue.assigned", "hub:octocat"),
        (f"labeled:479:go:{at}", "issue.labeled", "hub:octocat"),
        (f"review-requested:!480:mosaic:{at}", "change.review_requested", "hub:octocat"),
    ]
    assert await polling.poll() == []


async def test_new_threads_are_taken_and_changed_ones_are_not(polling: Polling) -> None:
    polling.fake.thread().updated = polling.time()
    assert await polling.poll() == []
    change = polling.fake.thread(480)
    change.created = change.updated = polling.time()
    assert [(each.subject, each.trigger) for each in await polling.poll()] == [("opened:!480", "change.opened")]


async def test_nothing_new_costs_one_conditional_request_for_each_list(polling: Polling) -> None:
    polling.fake.log.clear()
    for _ in range(100):
        assert await polling.poll() == []
    statuses = [each.status for each in polling.fake.log]
    assert len(statuses) == 300
    assert set(statuses) == {304}


async def test_a_busy_repository_is_read_page_by_page(polling: Polling) -> None:
    polling.fake.page_size = 2
    for number in range(7):
        polling.comment(f"remark {number}")
        polling.event("labeled", label=f"label {number}")
    assert len(await polling.poll()) == 14
    assert await polling.poll() == []


async def test_what_a_crash_leaves_is_taken_again_as_a_duplicate(
    polling: Polling, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StorageUnavailable("the disk is full")

    polling.comment()
    with monkeypatch.context() as broken:
        for write in ("write", "write_item"):
            broken.setattr(polling.poller._store, write, fail)
        with pytest.raises(StorageUnavailable):
            await polling.poll()
    assert await polling.deliveries() == []
    taken = polling.poller._take
    polling.poller._take = lambda *given: _and_fail(taken(*given))
    with pytest.raises(StorageUnavailable):
        await polling.poll()
    polling.poller._take = taken
    assert [each.verdict for each in await polling.deliveries()] == ["allowed"]
    assert await polling.poll() == []


async def _and_fail(taking: Any) -> Any:
    await taking
    raise StorageUnavailable("killed")


async def test_a_webhook_and_pull_are_one_event(polling: Polling) -> None:
    comment = polling.comment()
    polling.event("assigned", whom=polling.fake.bot)
    assigned_at = f"{polling.time():%Y-%m-%dT%H:%M:%SZ}"
    pulled = {each.trigger: each for each in await polling.poll()}
    octocat, mosaic = {"login": "octocat", "id": 2}, {"login": "mosaic", "id": 1}
    issue = {"number": 479, "title": "It leaks", "user": octocat, "updated_at": assigned_at}
    about = {"issue": issue, "repository": {"full_name": "octo-org/api"}, "sender": octocat}
    written = {"id": comment.id, "body": "@mosaic fix", "user": octocat}
    for event, name, more in (
        ("issue_comment", "issue.comment", {"action": "created", "comment": written}),
        ("issues", "issue.assigned", {"action": "assigned", "assignee": mosaic}),
    ):
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": name}
        answer = await polling.intake.deliver("hub", json.dumps(about | more).encode(), headers)
        assert (answer.verdict, answer.delivery_id) == ("duplicate", pulled[name].id)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Answer(500), "github answered 500"),
        (Answer(401, {"message": "Bad credentials"}), "the token is not accepted"),
        (Answer(404, {"message": "Not Found"}), "github answered 404: Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "another shape"),
        (ELSEWHERE, "another shape"),
    ],
)
async def test_a_list_that_cannot_be_read_is_told_and_read_again(
    polling: Polling, fault: Answer | bytes, reason: str
) -> None:
    comment = polling.comment()
    polling.fake.faults = [fault]
    await polling.poll()
    assert polling.poller.fault is not None
    assert reason in polling.poller.fault[0]
    polling.clock.now += 10 * MINUTE
    await polling.poll()
    assert [each.subject for each in await polling.deliveries()] == [f"comment:{comment.id}"]
    assert polling.poller.fault is None


async def test_a_limit_of_the_forge_is_waited_for(polling: Polling) -> None:
    polling.comment()
    polling.fake.faults = [Answer(429, {"message": "slow down"}, {"Retry-After": "600"})]
    assert await polling.poll() == []
    polling.fake.log.clear()
    assert await polling.poll() == []
    assert polling.fake.log == []
    polling.clock.now += 10 * MINUTE
    assert len(await polling.poll()) == 1


async def test_the_interval_that_the_forge_asks_for_is_kept(polling: Polling) -> None:
    polling.fake.poll_interval = 90
    assert await polling.poll() == []
    polling.fake.log.clear()
    polling.comment()
    assert await polling.poll() == []
    assert polling.fake.log == []
    assert len(await polling.poll()) == 1


async def test_the_position_survives_a_restart(tmp_path: Path, polling: Polling) -> None:
    polling.comment()
    assert len(await polling.poll()) == 1
    poller = polling.poller
    polling.poller = Poller(polling.intake.store, poller._source, poller._reader._api, API, poller._take, polling.clock)
    polling.comment(number=480)
    assert len(await polling.poll()) == 1


async def test_after_a_restart_a_list_that_could_not_be_read_is_read_at_once(polling: Polling) -> None:
    polling.comment()
    polling.fake.faults = [Answer(404, {"message": "page not found"})]
    assert await polling.poll() == []
    poller = polling.poller
    polling.poller = Poller(polling.intake.store, poller._source, poller._reader._api, API, poller._take, polling.clock)
    polling.clock.now -= MINUTE
    assert len(await polling.poll()) == 1


async def test_events_beyond_what_is_read_at_once_are_logged(
    polling: Polling, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stitcherd.polling.poller.PAGES_MAX", 2)
    polling.fake.page_size = 2
    for number in range(5):
        polling.event("labeled", label=f"label {number}")
    found = await polling.poll()
    assert [each.subject.split(":")[2] for each in found if each.subject] == [f"label {at}" for at in range(1, 5)]
    assert "of events:octo-org/api, only the newest 4 are read" in caplog.text
