"""A poller and the fake of GitHub: reviews, and their comments on lines."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.forges.fake import START, Answer, FakeComment, FakeReview
from tests.stitcherd.polling.test_poller import MINUTE, Polling, open_polling

OCTOCAT = {"login": "octocat", "id": 2}


@pytest.fixture
async def polling(tmp_path: Path) -> AsyncIterator[Polling]:
    async with open_polling(tmp_path) as opened:
        for thread in opened.fake.repository.threads.values():
            thread.created = thread.updated = START - timedelta(days=1)
        submit(opened, draft(opened, "what is old"))
        opened.clock.now += 10 * MINUTE
        assert await opened.poll() == []
        yield opened
        assert opened.fake.violations == []
        assert opened.poller.fault is None


def draft(polling: Polling, *texts: str, body: str = "") -> FakeReview:
    """Add a review that is not submitted, with comments on lines."""
    author, now = polling.fake.accounts[2], polling.time()
    comments = [FakeComment(polling.fake.next_id(), author, text, now, now) for text in texts]
    review = FakeReview(polling.fake.next_id(), author, body, None, comments=comments)
    polling.fake.thread(480).reviews.append(review)
    return review


def submit(polling: Polling, review: FakeReview) -> None:
    review.submitted = polling.fake.thread(480).updated = polling.time()


async def test_a_review_and_its_comments_are_taken_once_when_it_is_submitted(polling: Polling) -> None:
    review = draft(polling, "first", "second", body="@mosaic fix")
    for _ in range(5):
        polling.fake.thread(480).updated = polling.time()
        assert await polling.poll() == []
    submit(polling, review)
    found = await polling.poll()
    first, second = review.comments
    assert {(each.subject, each.trigger, each.sender, each.repository) for each in found} == {
        (f"review:{review.id}", "change.review", "hub:octocat", "octo-org/api"),
        (f"review-comment:{first.id}", "change.review_comment", "hub:octocat", "octo-org/api"),
        (f"review-comment:{second.id}", "change.review_comment", "hub:octocat", "octo-org/api"),
    }
    assert {each.thread and (each.thread.kind, each.thread.number) for each in found} == {("change", 480)}
    for _ in range(5):
        polling.fake.thread(480).updated = first.updated = polling.time()
        assert await polling.poll() == []


async def test_only_reviews_since_the_last_change_are_asked_for_their_comments(polling: Polling) -> None:
    polling.fake.page_size = 2
    for number in range(4):
        submit(polling, draft(polling, f"remark {number}"))
    assert len(await polling.poll()) == 8
    polling.clock.now += 10 * MINUTE
    submit(polling, before := draft(polling))
    assert len(await polling.poll()) == 1
    polling.clock.now += 10 * MINUTE
    polling.fake.log.clear()
    submit(polling, last := draft(polling, "one", "two", "three"))
    assert len(await polling.poll()) == 4
    asked = {each.path.partition("/reviews/")[2] for each in polling.fake.log}
    assert asked == {"", f"{before.id}/comments", f"{last.id}/comments"}


async def test_a_review_that_becomes_visible_late_is_taken(polling: Polling) -> None:
    submit(polling, late := draft(polling, "slow"))
    polling.fake.thread(480).reviews.remove(late)
    assert await polling.poll() == []
    polling.fake.thread(480).reviews.append(late)
    assert len(await polling.poll()) == 2
    polling.clock.now += 10 * MINUTE
    await polling.poll()
    polling.fake.log.clear()
    assert await polling.poll() == []
    assert [each.status for each in polling.fake.log] == [304, 304, 304]


async def test_a_webhook_and_pull_are_one_event(polling: Polling) -> None:
    submit(polling, review := draft(polling, "why?", body="@mosaic fix"))
    pulled = {each.subject: each.id for each in await polling.poll()}
    (comment,) = review.comments
    about = {
        "pull_request": {"number": 480, "title": "It leaks", "user": OCTOCAT},
        "repository": {"full_name": "octo-org/api"},
        "sender": OCTOCAT,
    }
    reviewed = {"action": "submitted", "review": {"id": review.id, "body": review.body, "user": OCTOCAT}}
    commented = {"action": "created", "comment": {"id": comment.id, "body": comment.body, "user": OCTOCAT}}
    for event, subject, more in (
        ("pull_request_review", f"review:{review.id}", reviewed),
        ("pull_request_review_comment", f"review-comment:{comment.id}", commented),
    ):
        headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": event}
        answer = await polling.intake.deliver("hub", json.dumps(about | more).encode(), headers)
        assert (answer.verdict, answer.delivery_id) == ("duplicate", pulled[subject])


async def test_reviews_that_cannot_be_read_now_are_read_later(polling: Polling) -> None:
    submit(polling, review := draft(polling, "why?"))
    refused = Answer(502, {"message": "bad gateway"})
    handlers = polling.fake.repository_routes
    with pytest.MonkeyPatch.context() as broken:
        routes = handlers | {"GET /pulls/{number}/reviews/{id}/comments": lambda *_: refused}
        broken.setattr(type(polling.fake), "repository_routes", property(lambda _: routes))
        assert await polling.poll() == []
        assert polling.poller.fault is not None
    polling.clock.now += 10 * MINUTE
    assert {each.subject for each in await polling.poll()} == {
        f"review:{review.id}",
        f"review-comment:{review.comments[0].id}",
    }
