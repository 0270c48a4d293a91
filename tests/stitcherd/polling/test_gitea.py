"""A poller and the fake of Gitea that it asks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from stitcherd.polling.poller import Poller
from tests.forges.fake import START, Answer
from tests.forges.fake_gitea import FakeGitea
from tests.forges.harness import connected
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.intake_harness import SECRET, open_harness
from tests.stitcherd.polling.test_poller import API, RAILS, Clock, Polling


@pytest.fixture
async def polling(tmp_path: Path) -> AsyncIterator[Polling]:
    fake, clock = FakeGitea(), Clock()
    rails = RAILS.replace("hub:", "tea:")
    async with open_harness(tmp_path, rails_text=rails) as intake, connected(fake, "gitea", now=clock) as api:
        source = intake.settings.sources["tea"].model_copy(update={"pull": 60.0})
        poller = Poller(intake.store, source, api, API, intake.intake.take, clock)
        for thread in fake.repository.threads.values():
            thread.created = thread.updated = START - timedelta(days=1)
        opened = Polling(intake, fake, poller, clock)  # type: ignore[arg-type]
        opened.comment("@mosaic fix what is old")
        clock.now += 60_000
        assert await opened.poll() == []
        yield opened
        assert fake.violations == []


async def test_comments_are_taken_once_and_edits_are_not(polling: Polling) -> None:
    issue, change = (polling.comment(number=number) for number in (479, 480))
    found = await polling.poll()
    assert [(each.subject, each.trigger, each.sender, each.verdict) for each in found] == [
        (f"comment:{issue.id}", "issue.comment", "tea:octocat", "allowed"),
        (f"comment:{change.id}", "change.comment", "tea:octocat", "allowed"),
    ]
    assert {(each.via, each.secret) for each in found} == {("pull", 0)}
    for _ in range(4):
        issue.body, issue.updated = "@mosaic fix more", polling.time()
        assert await polling.poll() == []


async def test_updates_come_from_who_caused_them(polling: Polling) -> None:
    bot = polling.fake.bot
    polling.event("assigned", whom=bot)
    polling.event("labeled", label="go")
    polling.event("labeled", label="bug")
    polling.event("review_requested", 480, whom=bot)
    polling.event("reviewed", 480)
    polling.event("ready_for_review", 480)
    polling.event("closed")
    at = f"{polling.time():%Y-%m-%dT%H:%M:%SZ}"
    assert {(each.subject, each.trigger, each.sender) for each in await polling.poll()} == {
        (f"assigned:479:mosaic:{at}", "issue.assigned", "tea:octocat"),
        (f"labeled:479:bug,go:{at}", "issue.labeled", "tea:octocat"),
        (f"review-requested:!480:mosaic:{at}", "change.review_requested", "tea:octocat"),
        (f"review:!480:reviewed:octocat:{at}", "change.review", "tea:octocat"),
        (f"edited:!480:{at}", "change.opened", "tea:octocat"),
    }
    for number in (479, 480):
        polling.comment("something else", number)
    assert [each.verdict for each in await polling.poll()] == ["ignored"] * 2


async def test_new_and_reopened_threads_are_taken(polling: Polling) -> None:
    change = polling.fake.thread(480)
    change.created = change.updated = polling.time()
    assert [(each.subject, each.trigger) for each in await polling.poll()] == [("opened:!480", "change.opened")]
    polling.event("reopened", 480)
    [found] = await polling.poll()
    assert found.subject == f"reopened:!480:{polling.fake.repository.events[0].at:%Y-%m-%dT%H:%M:%SZ}"


async def test_small_pages_lose_nothing(polling: Polling) -> None:
    vars(polling.fake)["page_size"] = 2
    for round_ in range(3):
        polling.clock.now += 3_600_000
        for number in range(5):
            polling.comment(f"remark {round_} {number}", number=479 + number % 2)
        assert len(await polling.poll()) == 5
    assert await polling.poll() == []


async def test_a_long_timeline_loses_nothing(polling: Polling) -> None:
    for number in range(60):
        polling.comment(f"remark {number}")
    polling.event("assigned", whom=polling.fake.bot)
    assert len(await polling.poll()) == 61


async def test_a_thread_that_is_deleted_meanwhile_holds_nothing_up(
    polling: Polling, caplog: pytest.LogCaptureFixture
) -> None:
    polling.event("labeled", label="go")
    polling.fake.faults = [None, None, Answer(404, {"message": "issue does not exist"})]  # type: ignore[list-item]
    assert await polling.poll() == []
    assert "timeline:479 is gone" in caplog.text
    assert polling.poller.fault is None


async def test_a_webhook_and_pull_are_one_event(polling: Polling) -> None:
    comment = polling.comment()
    [pulled] = await polling.poll()
    body, headers = comment_webhook("gitea", comment.author, comment.body, comment=comment.id)
    headers |= signature("gitea", body, SECRET)
    answer = await polling.intake.deliver("tea", body, headers)
    assert (answer.verdict, answer.delivery_id, answer.job_id) == ("duplicate", pulled.id, pulled.job_id)
