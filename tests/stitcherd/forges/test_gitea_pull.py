"""What the lists of Gitea tell is read as its webhooks are: the same event, whole."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.forges.base import Call, FeedEvent, FeedItem, FeedPage, UnexpectedResponse
from stitcherd.forges.gitea_pull import feeds
from stitcherd.forges.models import RepositoryRef
from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.forges.responses import response
from tests.stitcherd.sources.payloads import delivery

COMMENTS, THREADS = feeds(RepositoryRef("octo-org/api"))
AT = "2026-11-20T10:00:00Z"
OCTOCAT = {"id": 3, "login": "octocat"}
READY = {"id": 1, "name": "ready"}


def parse(name: str, body: Any) -> Trigger:
    headers = CIMultiDict({"X-Gitea-Event-Type": name})
    return SOURCES["gitea"].parse(headers, json.dumps(body).encode(), source="tea", bot="mosaic")


def read(event: FeedEvent | Call[FeedEvent] | None, thread: Any = None) -> Trigger:
    """Return the trigger of an event, which is completed with a thread."""
    if isinstance(event, Call):
        event = event.read(response(200, thread))
    assert event is not None
    return parse(event.headers["X-Gitea-Event-Type"], event.body)


def thread_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the thread of a webhook as the list of issues and pull requests tells it."""
    if "issue" in body and not body.get("is_pull"):
        return dict(body["issue"])
    change = body.get("pull_request") or body["issue"]
    kept = {key: value for key, value in change.items() if key not in {"base", "head", "merged", "draft"}}
    return kept | {"pull_request": {"merged": False, "merged_at": None}}


def page(call: Call[FeedPage], content: Any, **headers: str) -> FeedPage:
    return call.read(response(200, content, **headers))


def timeline(thread: Mapping[str, Any], *done: Mapping[str, Any]) -> list[FeedItem]:
    found = page(THREADS.list(0, 1, None), [thread]).items
    assert found
    [inner] = found[0].feeds
    assert inner.list(0, 1, None).request.path == f"/issues/{thread['number']}/timeline"
    every = {"created_at": AT, "updated_at": AT, "user": OCTOCAT, "body": ""}
    raw = [{"id": number, **every, **each} for number, each in enumerate(done, 1)]
    items = page(inner.list(0, 1, None), raw).items
    assert items is not None
    return list(items)


def changed(name: str) -> tuple[Any, Trigger]:
    """Return a stored delivery about a thread that was changed at AT, and its trigger."""
    body = delivery("gitea", name)
    for key in ("issue", "pull_request"):
        if body.get(key):
            body[key]["updated_at"] = AT
    return body, parse(name.partition(".")[0], body)


@pytest.mark.parametrize("name", ["issue_comment.created", "pull_request_comment.created"])
def test_a_comment_is_read_as_its_webhook(name: str) -> None:
    webhook = delivery("gitea", name)
    kind = "pulls" if webhook["is_pull"] else "issues"
    urls = {"issue_url": "", "pull_request_url": ""}
    urls["pull_request_url" if webhook["is_pull"] else "issue_url"] = f"https://x/octo-org/api/{kind}/480"
    found = page(COMMENTS.list(0, 1, None), [webhook["comment"] | urls]).items
    assert found
    event = found[0].event
    assert isinstance(event, Call)
    assert event.request.path == "/issues/480"
    expected = parse(name.partition(".")[0], webhook)
    assert read(event, webhook["issue"]) == expected
    assert expected.subject == f"comment:{webhook['comment']['id']}"


@pytest.mark.parametrize("name", ["issues.opened", "pull_request.opened", "pull_request.opened_from_fork"])
def test_a_new_thread_is_read_as_its_webhook(name: str) -> None:
    webhook = delivery("gitea", name)
    found = page(THREADS.list(0, 1, None), [thread_of(webhook)]).items
    assert found
    expected = parse(name.partition(".")[0], webhook)
    assert read(found[0].event, webhook.get("pull_request")) == expected
    assert expected.subject in {"opened:479", "opened:!480"}


def test_assignments_are_read_as_their_webhooks_each_with_the_assignees_of_its_time() -> None:
    webhook, expected = changed("issues.assigned")
    webhook["sender"] = OCTOCAT
    hubot, mosaic = webhook["issue"]["assignees"]
    told = timeline(
        webhook["issue"],
        {"type": "assignees", "assignee": hubot},
        {"type": "assignees", "assignee": OCTOCAT},
        {"type": "assignees", "assignee": OCTOCAT, "removed_assignee": True},
        {"type": "assignees", "assignee": mosaic},
    )
    assert [each.event is None for each in told] == [False, False, True, False]
    assert read(told[3].event).assignees == expected.assignees
    assert [read(told[index].event).subject for index in (0, 1, 3)] == [
        f"assigned:479:hubot:{AT}",
        f"assigned:479:hubot,octocat:{AT}",
        f"assigned:479:hubot,mosaic:{AT}",
    ]
    assert read(told[3].event).sender == "tea:octocat"


@pytest.mark.parametrize("name", ["issues.label_updated", "pull_request_label.label_updated"])
def test_labels_are_read_as_their_webhooks(name: str) -> None:
    webhook, expected = changed(name)
    thread = thread_of(webhook)
    added = {"type": "label", "label": thread["labels"][0], "body": "1", "user": webhook["sender"]}
    [told] = timeline(thread, added)
    found = read(told.event, webhook.get("pull_request"))
    assert (found.name, found.subject, found.labels) == (expected.name, expected.subject, expected.labels)
    assert found.sender == expected.sender


def test_labels_that_one_update_added_are_one_event_and_removed_ones_none() -> None:
    thread = delivery("gitea", "issues.opened")["issue"] | {"labels": [READY, {"id": 2, "name": "go"}]}
    removed = {"id": 3, "name": "stale"}
    told = timeline(
        thread,
        {"type": "label", "label": removed, "created_at": "2026-11-20T09:59:00Z", "body": "1"},
        {"type": "label", "label": removed, "created_at": "2026-11-20T09:59:30Z"},
        {"type": "label", "label": READY, "body": "1"},
        {"type": "label", "label": {"id": 2, "name": "go"}, "body": "1"},
        {"type": "comment", "body": "1"},
    )
    assert [each.event is None for each in told] == [False, True, True, False, True]
    assert read(told[0].event).labels == ("stale",)
    assert read(told[3].event).subject == f"labeled:479:go,ready:{AT}"


def test_labels_that_an_issue_was_opened_with_are_an_event_as_by_webhook() -> None:
    """Gitea sends `label_updated` after `opened` for them."""
    thread = delivery("gitea", "issues.opened")["issue"] | {"labels": [READY]}
    at = thread["created_at"]
    [told] = timeline(thread, {"type": "label", "label": READY, "body": "1", "created_at": at})
    assert read(told.event).subject == f"labeled:479:ready:{at}"


def test_an_update_that_adds_a_label_and_removes_one_is_an_event() -> None:
    thread = delivery("gitea", "issues.opened")["issue"] | {"labels": [READY]}
    stale = {"type": "label", "label": {"id": 3, "name": "stale"}}
    told = timeline(thread, {"type": "label", "label": READY, "body": "1"}, stale)
    assert [each.event and read(each.event).subject for each in told] == [None, f"labeled:479:ready:{AT}"]


def test_what_was_done_after_the_list_of_threads_was_read_is_whole() -> None:
    thread = delivery("gitea", "issues.opened")["issue"] | {"labels": [], "assignees": None}
    later = {"type": "label", "label": READY, "body": "1", "created_at": "2026-11-20T10:01:00Z"}
    told = timeline(thread, {"type": "assignees", "assignee": {"id": 9, "login": "mosaic"}}, later)
    assert [each.event and read(each.event).subject for each in told] == [
        f"assigned:479:mosaic:{AT}",
        "labeled:479:ready:2026-11-20T10:01:00Z",
    ]


def test_a_timeline_is_asked_for_whole() -> None:
    """In pages it would end with the first: the total that Gitea tells of it is that of the page."""
    items = page(THREADS.list(0, 1, None), [delivery("gitea", "issues.opened")["issue"]]).items
    assert items
    call = items[0].feeds[0].list(1_790_000_000_999, 1, None)
    assert call.request.query == (("since", "2026-09-21T14:13:20Z"),)
    assert page(call, None, X_Total_Count="0").next_page is None


def test_an_edit_of_a_comment_does_not_tell_how_far_the_list_was_read() -> None:
    comment = delivery("gitea", "issue_comment.created")["comment"] | {"issue_url": "https://x/octo-org/api/issues/479"}
    found = page(COMMENTS.list(0, 1, None), [comment | {"created_at": AT, "updated_at": "2026-11-21T10:00:00Z"}]).items
    assert found
    assert found[0].updated_at == found[0].created_at


def test_a_requested_review_is_read_as_its_webhook() -> None:
    webhook, expected = changed("pull_request_review_request.review_requested")
    request = {"type": "review_request", "assignee": webhook["requested_reviewer"], "user": webhook["sender"]}
    [told, withdrawn] = timeline(thread_of(webhook), request, request | {"removed_assignee": True})
    found = read(told.event, webhook["pull_request"])
    assert (found.name, found.subject, found.reviewers) == (expected.name, expected.subject, expected.reviewers)
    assert withdrawn.event is None


def test_a_review_is_read_as_its_webhook() -> None:
    webhook, expected = changed("pull_request_review_rejected.reviewed")
    review = {"type": "review", "body": webhook["review"]["content"], "user": webhook["sender"], "review_id": 5}
    [told] = timeline(thread_of(webhook), review)
    found = read(told.event, webhook["pull_request"])
    assert (found.name, found.subject, found.quotes) == (expected.name, expected.subject, expected.quotes)


@pytest.mark.parametrize(
    ("done", "subject"),
    [
        ({"type": "reopen"}, f"reopened:!480:{AT}"),
        ({"type": "change_title", "old_title": "WIP: it leaks"}, f"edited:!480:{AT}"),
        ({"type": "change_title", "old_title": "it leaks"}, None),
    ],
)
def test_changes_that_are_reopened_or_become_ready(done: dict[str, Any], subject: str | None) -> None:
    webhook = delivery("gitea", "pull_request.opened")
    [told] = timeline(thread_of(webhook), done)
    found = read(told.event, webhook["pull_request"])
    assert (found.name, found.subject) == (("change.opened", subject) if subject else (None, None))


def test_what_rails_cannot_refer_to_is_no_event() -> None:
    issue = delivery("gitea", "issues.opened")["issue"]
    done = [
        {"type": name} for name in ("close", "reopen", "comment", "pull_push", "milestone", "change_title", "review")
    ]
    assert [each.event for each in timeline(issue, *done)] == [None] * len(done)


@pytest.mark.parametrize(
    ("shown", "number", "total", "next_page"),
    [
        (0, 1, "0", None),
        (3, 1, "3", None),
        (30, 1, "70", 2),
        (30, 2, "70", 3),
        (0, 4, "70", None),
        (0, 1, "70", 2),
        (1, 1, "", 2),
        (0, 2, "x", None),
    ],
)
def test_the_next_page_whatever_its_size(shown: int, number: int, total: str, next_page: int | None) -> None:
    issue = delivery("gitea", "issues.opened")["issue"]
    headers = {"X-Total-Count": total} if total else {}
    read_page = THREADS.list(0, number, None).read(response(200, [issue] * shown, **headers))
    assert read_page.next_page == next_page


def test_an_empty_timeline_is_null() -> None:
    assert page(THREADS.list(0, 1, None), None).items == ()


@pytest.mark.parametrize(
    ("feed", "content"),
    [
        (0, [{"id": 1, "created_at": AT, "updated_at": AT}]),
        (0, [{"id": 1, "created_at": AT, "updated_at": AT, "issue_url": "https://x/issues/new"}]),
        (1, [{"number": 1}]),
        (1, {"message": "?"}),
    ],
)
def test_a_response_of_another_shape_is_refused(feed: int, content: Any) -> None:
    both: Sequence[Any] = (COMMENTS, THREADS)
    with pytest.raises(UnexpectedResponse):
        page(both[feed].list(0, 1, None), content)
