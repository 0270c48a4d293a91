"""A poller and the fake of GitLab that it asks."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stitcherd.polling.poller import Poller
from tests.forges.fake import START, Answer
from tests.forges.fake_gitlab import FakeGitLab
from tests.forges.harness import connected
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.intake_harness import SECRET, open_harness
from tests.stitcherd.polling.test_poller import API, RAILS, Clock, Polling


@pytest.fixture
async def polling(tmp_path: Path) -> AsyncIterator[Polling]:
    fake, clock = FakeGitLab(), Clock()
    rails = RAILS.replace("hub:", "lab:")
    async with open_harness(tmp_path, rails_text=rails) as intake, connected(fake, "gitlab", now=clock) as api:
        source = intake.settings.sources["lab"].model_copy(update={"pull": 60.0})
        poller = Poller(intake.store, source, api, API, intake.intake.take, clock)
        for thread in fake.repository.threads.values():
            thread.created = thread.updated = START - timedelta(days=1)
        opened = Polling(intake, fake, poller, clock)  # type: ignore[arg-type]
        opened.comment("@mosaic fix what is old")
        clock.now += 60_000
        assert await opened.poll() == []
        yield opened


async def test_comments_of_each_kind_are_taken_once(polling: Polling) -> None:
    issue, change, line = (polling.comment(number=number) for number in (479, 480, 480))
    discussion = polling.comment("@mosaic help", 480)
    line.type, discussion.type = "DiffNote", "DiscussionNote"
    found = await polling.poll()
    assert [(each.subject, each.trigger, each.sender, each.verdict) for each in found] == [
        (f"comment:{issue.id}", "issue.comment", "lab:octocat", "allowed"),
        (f"comment:{change.id}", "change.comment", "lab:octocat", "allowed"),
        (f"review-comment:{line.id}", "change.review_comment", "lab:octocat", "ignored"),
        (f"comment:{discussion.id}", "change.comment", "lab:octocat", "ignored"),
    ]
    assert {(each.via, each.secret) for each in found} == {("pull", 0)}
    polling.comment("").system = True
    issue.body, issue.updated = "@mosaic fix more", polling.time()
    assert await polling.poll() == []


async def test_what_is_confidential_is_ignored_without_its_text(polling: Polling) -> None:
    polling.comment().internal = True
    polling.fake.thread().confidential = True
    polling.comment()
    assert [(each.verdict, each.thread) for each in await polling.poll()] == [("ignored", None)] * 2


async def test_new_and_reopened_threads_are_taken_and_changed_ones_are_not(polling: Polling) -> None:
    polling.fake.thread().updated = polling.time()
    assert await polling.poll() == []
    change = polling.fake.thread(480)
    change.created = change.updated = polling.time()
    assert [(each.subject, each.trigger) for each in await polling.poll()] == [("opened:!480", "change.opened")]
    polling.event("reopened", 480)
    polling.event("reopened", 479)
    [found] = await polling.poll()
    assert found.trigger == "change.opened"
    assert found.subject == f"reopen:!480:{polling.fake.repository.events[0].at:%Y-%m-%dT%H:%M:%SZ}"


async def test_updates_come_from_who_caused_them(polling: Polling) -> None:
    bot = polling.fake.bot
    polling.event("assigned", whom=bot)
    polling.event("labeled", label="go")
    polling.event("labeled", label="bug")
    polling.event("review_requested", 480, whom=bot)
    polling.event("ready_for_review", 480)
    polling.event("closed")
    at = f"{polling.time():%Y-%m-%dT%H:%M:%SZ}"
    found = {(each.subject, each.trigger, each.sender) for each in await polling.poll()}
    assert found == {
        (f"assigned:479:mosaic:{at}", "issue.assigned", "lab:octocat"),
        (f"labeled:479:bug,go:{at}", "issue.labeled", "lab:octocat"),
        (f"review-requested:!480:mosaic:{at}", "change.review_requested", "lab:octocat"),
        (f"update:!480:{at}", "change.opened", "lab:octocat"),
    }
    polling.comment("something else")
    polling.comment("something else", 480)
    assert [each.verdict for each in await polling.poll()] == ["ignored"] * 2


async def test_a_thread_that_is_deleted_meanwhile_holds_nothing_up(
    polling: Polling, caplog: pytest.LogCaptureFixture
) -> None:
    polling.event("labeled", label="go")
    polling.fake.faults = [None, None, None, Answer(404, {"message": "404 Not found"})]  # type: ignore[list-item]
    assert [each.trigger for each in await polling.poll()] == []
    assert "labels:479 is gone" in caplog.text
    assert polling.poller.fault is None


@pytest.mark.parametrize("requests_before", [1, 3])
async def test_a_thread_that_may_not_be_read_now_is_read_later(polling: Polling, requests_before: int) -> None:
    """One request after the first list completes a comment; three requests are before the labels of an issue."""
    if requests_before == 1:
        polling.comment()
    else:
        polling.event("labeled", label="go")
    refused = Answer(403, {"message": "insufficient_scope"})
    polling.fake.faults = [*[None] * requests_before, refused]  # type: ignore[list-item]
    assert await polling.poll() == []
    assert polling.poller.fault is not None
    assert "gitlab answered 403: insufficient_scope" in polling.poller.fault[0]
    polling.clock.now += 600_000
    assert len(await polling.poll()) == 1
    assert polling.poller.fault is None


async def test_pages_and_days_lose_nothing(polling: Polling) -> None:
    vars(polling.fake)["page_size"] = 2
    for day in range(3):
        polling.clock.now += 20 * 3_600_000
        for number in range(5):
            polling.comment(f"remark {day} {number}", number=479 + number % 2)
        assert len(await polling.poll()) == 5
    assert await polling.poll() == []


async def test_nothing_new_costs_one_conditional_request_for_each_list(polling: Polling) -> None:
    polling.clock.now += 600_000  # until then, what was done to the thread that changed last may become visible
    assert await polling.poll() == []
    polling.fake.log.clear()
    for _ in range(20):
        assert await polling.poll() == []
    assert [each.status for each in polling.fake.log] == [304] * 80


async def test_a_comment_is_one_event_by_two_webhooks_a_redelivery_and_pull(polling: Polling) -> None:
    comment = polling.comment()
    [pulled] = await polling.poll()
    assert pulled.job_id is not None
    body, headers = comment_webhook("gitlab", comment.author, comment.body, comment=comment.id)
    headers |= signature("gitlab", body, SECRET)
    for hook, key in (("first", "1"), ("first", "1"), ("second", "2")):
        called = headers | {"X-Gitlab-Webhook-UUID": hook, "Idempotency-Key": key}
        answer = await polling.intake.deliver("lab", body + b" " * int(key), called)
        assert (answer.verdict, answer.delivery_id, answer.job_id) == ("duplicate", pulled.id, pulled.job_id)
    assert await polling.poll() == []


async def test_the_webhook_may_come_first(polling: Polling) -> None:
    change = polling.fake.thread(480)
    change.created = change.updated = polling.time()
    attributes: Any = {"iid": 480, "action": "open", "title": change.title, "source_project_id": 7, "author_id": 2}
    webhook = {
        "object_kind": "merge_request",
        "user": {"id": 2, "username": "octocat"},
        "project": {"path_with_namespace": "octo-org/api"},
        "object_attributes": attributes | {"target_project_id": 7},
    }
    body = json.dumps(webhook).encode()
    headers = {"X-Gitlab-Event": "Merge Request Hook", "X-Gitlab-Token": SECRET.decode()}
    answer = await polling.intake.deliver("lab", body, headers)
    assert answer.verdict == "allowed"
    assert await polling.poll() == []
