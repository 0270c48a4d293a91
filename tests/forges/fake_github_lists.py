"""The lists of a repository in the fake of GitHub: comments and threads by change, and events, the newest first."""

import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.forges.descriptions import GITHUB
from tests.forges.fake import Answer, FakeComment, FakeEvent, FakeRepository, FakeReview, Refused, Sent, time_text

if TYPE_CHECKING:
    from tests.forges.fake_github import FakeGitHub

_R = "/repos/{owner}/{repo}"


def repositories(fake: "FakeGitHub", sent: Sent) -> Answer:
    found = sorted(fake.repositories.values(), key=lambda each: each.name)
    return _page(fake, sent, [fake.render_repository(each) | {"archived": each.archived} for each in found])


def comments(fake: "FakeGitHub", sent: Sent, repository: FakeRepository) -> Answer:
    found = [comment for thread in repository.threads.values() for comment in thread.comments]
    changed = _changed(sent, found, lambda comment: comment.updated)
    return _page(fake, sent, [fake.render_comment(repository, comment) for comment in changed])


def threads(fake: "FakeGitHub", sent: Sent, repository: FakeRepository) -> Answer:
    found = [thread for thread in repository.threads.values() if not thread.deleted]
    changed = _changed(sent, found, lambda thread: thread.updated)
    return _page(fake, sent, [fake.render_thread(repository, thread) for thread in changed])


def events(fake: "FakeGitHub", sent: Sent, repository: FakeRepository) -> Answer:
    return _page(fake, sent, [_render_event(fake, repository, event) for event in reversed(repository.events)])


def reviews(fake: "FakeGitHub", sent: Sent, repository: FakeRepository, number: int) -> Answer:
    found = fake.visible_thread(repository, number).reviews
    return _page(fake, sent, [_render_review(fake, review) for review in found])


def line_comments(fake: "FakeGitHub", sent: Sent, repository: FakeRepository, number: int, id_: int) -> Answer:
    for review in fake.visible_thread(repository, number).reviews:
        if review.id == id_:
            return _page(fake, sent, [_render_line_comment(fake, review, each) for each in review.comments])
    raise Refused(404, "Not Found")


def _render_review(fake: "FakeGitHub", review: FakeReview) -> dict[str, Any]:
    example: dict[str, Any] = GITHUB.example(f"GET {_R}/pulls/{{pull_number}}/reviews", 200)[0]
    example.pop("submitted_at")
    return example | {
        "id": review.id,
        "user": fake.render_simple(review.author),
        "body": review.body,
        "state": review.state if review.submitted else "PENDING",
        **({"submitted_at": time_text(review.submitted)} if review.submitted else {}),
    }


def _render_line_comment(fake: "FakeGitHub", review: FakeReview, comment: FakeComment) -> dict[str, Any]:
    example: dict[str, Any] = GITHUB.example(f"GET {_R}/pulls/{{pull_number}}/reviews/{{review_id}}/comments", 200)[0]
    return example | {
        "id": comment.id,
        "pull_request_review_id": review.id,
        "user": fake.render_simple(comment.author),
        "body": comment.body,
        "created_at": time_text(comment.created),
        "updated_at": time_text(comment.updated),
    }


def _render_event(fake: "FakeGitHub", repository: FakeRepository, event: FakeEvent) -> dict[str, Any]:
    example: dict[str, Any] = GITHUB.example(f"GET {_R}/issues/events", 200)[0]
    thread = repository.threads[event.number]
    whom = fake.render_simple(event.whom) if event.whom else None
    by = fake.render_simple(event.actor)
    more: dict[str, Any] = {}
    if event.event == "assigned":
        more = {"assignee": whom, "assigner": by}
    elif event.event == "review_requested":
        more = {"requested_reviewer": whom, "review_requester": by}
    elif event.label is not None:
        more = {"label": {"name": event.label, "color": "0e8a16"}}
    shown = None if thread.deleted else fake.render_thread(repository, thread)
    return example | {
        "id": event.id,
        "event": event.event,
        "actor": by,
        "created_at": time_text(event.at),
        "issue": shown,
        **more,
    }


def _changed(sent: Sent, found: Sequence[Any], changed_at: Callable[[Any], datetime]) -> list[Any]:
    """Return what was changed at `since` or later, in the order of the changes."""
    since = datetime.fromisoformat(sent.query["since"])
    return sorted((each for each in found if changed_at(each).replace(microsecond=0) >= since), key=changed_at)


def _page(fake: "FakeGitHub", sent: Sent, found: list[dict[str, Any]]) -> Answer:
    page, size = int(sent.query.get("page", 1)), fake.page_size
    shown = found[(page - 1) * size : page * size]
    etag = f'W/"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()}"'
    interval = {"X-Poll-Interval": str(fake.poll_interval)} if fake.poll_interval else {}
    if sent.etag == etag:
        return Answer(304, None, interval)
    more = {"Link": f'<{fake.api}{sent.path}?page={page + 1}>; rel="next"'} if len(found) > page * size else {}
    return Answer(200, shown, {"ETag": etag, **more, **interval})
