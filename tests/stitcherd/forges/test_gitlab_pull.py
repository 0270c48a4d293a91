"""What the lists of GitLab tell is read as its webhooks are: the same event, whole."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.forges.base import Call, FeedEvent, FeedItem, FeedPage, UnexpectedResponse
from stitcherd.forges.gitlab_pull import feeds
from stitcherd.forges.models import RepositoryRef
from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.forges.responses import response
from tests.stitcherd.sources.payloads import delivery

LOGINS = {3: "octocat", 4: "hubot", 9: "mosaic"}
LISTS = {each.name.partition(":")[0]: each for each in feeds(RepositoryRef("octo-org/api"))}
OF_THREADS = {"issue": "issues", "merge_request": "merge_requests"}
HOOKS = {"note": "Note Hook", "issue": "Issue Hook", "merge_request": "Merge Request Hook"}


def account(id_: Any) -> dict[str, Any]:
    return {"id": id_, "username": LOGINS[id_], "name": "", "state": "active"}


def at(time: str) -> str:
    return time.replace(" UTC", ".250Z").replace(" ", "T")


def thread_body(attributes: Mapping[str, Any], body: Mapping[str, Any] = {}) -> dict[str, Any]:
    """Return a thread of a webhook as the API tells it."""
    renamed = {"web_url": attributes["url"], "author": account(attributes["author_id"])}
    if "last_commit" in attributes:
        renamed["sha"] = attributes["last_commit"]["id"]
    people = {key: [account(each["id"]) for each in body.get(key, ())] for key in ("assignees", "reviewers")}
    times = {key: at(attributes[key]) for key in ("created_at", "updated_at")}
    labels = [each["title"] for each in attributes["labels"]]
    gone = {"url", "author_id", "assignee_id", "assignee_ids", "reviewer_ids", "last_commit", "action", "oldrev"}
    kept = {key: value for key, value in attributes.items() if key not in gone}
    return kept | renamed | people | times | {"labels": labels}


def commented(webhook: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of a project that tells the note of a webhook."""
    note = webhook["object_attributes"]
    kind = next(each for each in OF_THREADS if each in webhook)
    told = {
        "id": note["id"],
        "type": note["type"],
        "body": note["note"],
        "author": account(note["author_id"]),
        "created_at": at(note["created_at"]),
        "updated_at": at(note["updated_at"]),
        "system": note["system"],
        "noteable_id": 1,
        "noteable_type": note["noteable_type"],
        "noteable_iid": webhook[kind]["iid"],
        "internal": note["internal"],
        "confidential": note["internal"],
    }
    return {
        "id": 5,
        "action_name": "commented on",
        "author": account(note["author_id"]),
        "created_at": at(note["created_at"]),
        "note": told,
    }


def page(name: str, content: Any, **headers: str) -> FeedPage:
    return LISTS[name].list(0, 1, None).read(response(200, content, **headers))


def item(name: str, content: Any) -> FeedItem:
    found = page(name, [content]).items
    assert found is not None
    return found[0]


def read(event: FeedEvent | Call[FeedEvent] | None, thread: Any = None) -> Trigger:
    """Return the trigger of an event, which is completed with a thread."""
    if isinstance(event, Call):
        event = event.read(response(200, thread))
    assert event is not None
    return parse(event.headers, event.body)


def parse(headers: Mapping[str, str], body: Any) -> Trigger:
    encoded = json.dumps(body).encode()
    return SOURCES["gitlab"].parse(CIMultiDict(headers), encoded, source="lab", bot="mosaic")


def of_webhook(name: str) -> tuple[Any, Trigger]:
    body = delivery("gitlab", name)
    hook = HOOKS[body["object_kind"]]
    return body, parse({"X-Gitlab-Event": hook if body["event_type"] in HOOKS else f"Confidential {hook}"}, body)


@pytest.mark.parametrize("name", ["note.issue", "note.merge_request", "note.diff", "note.internal"])
def test_a_note_is_read_as_its_webhook(name: str) -> None:
    webhook, expected = of_webhook(name)
    kind = next(each for each in OF_THREADS if each in webhook)
    told = item("comments", commented(webhook))
    assert isinstance(told.event, Call)
    assert told.event.request.path == f"/{OF_THREADS[kind]}/{webhook[kind]['iid']}"
    assert read(told.event, thread_body(webhook[kind])) == expected
    assert (expected.subject is None) == (expected.unusable is not None)


@pytest.mark.parametrize(
    "name", ["issue.open", "issue.open_confidential", "merge_request.open", "merge_request.open_from_fork"]
)
def test_a_new_thread_is_read_as_its_webhook(name: str) -> None:
    webhook, expected = of_webhook(name)
    told = item(OF_THREADS[webhook["object_kind"]], thread_body(webhook["object_attributes"], webhook))
    assert read(told.event) == expected


@pytest.mark.parametrize("changed_since", [0, 3600])
def test_a_reopened_change_is_read_as_its_webhook_also_if_it_was_changed_since(changed_since: int) -> None:
    webhook = delivery("gitlab", "merge_request.open")
    attributes = webhook["object_attributes"]
    attributes["action"] = "reopen"
    attributes["updated_at"] = "2026-11-20 10:00:00 UTC"
    expected = parse({"X-Gitlab-Event": "Merge Request Hook"}, webhook)
    told = item(
        "reopened",
        {"id": 6, "author": account(3), "created_at": "2026-11-20T10:00:00.900Z", "target_iid": attributes["iid"]},
    )
    now = thread_body(attributes, webhook) | {
        "updated_at": "2026-11-20T11:00:00Z" if changed_since else "2026-11-20T10:00:00.200Z"
    }
    found = read(told.event, now)
    assert found == expected
    assert found.subject == "reopen:!480:2026-11-20T10:00:00Z"


def test_a_comment_on_a_confidential_issue_has_no_text() -> None:
    webhook, _ = of_webhook("note.issue")
    told = item("comments", commented(webhook))
    found = read(told.event, thread_body(webhook["issue"]) | {"confidential": True})
    assert found.unusable is not None
    assert (found.quotes, found.thread, found.subject) == ((), None, None)


@pytest.mark.parametrize(
    "edit",
    [
        {"note": None},
        {"note": {"id": 1, "body": "a", "noteable_type": "Commit"}},
        {"note": {"id": 1, "body": "a", "noteable_type": "Snippet", "noteable_iid": 3}},
        {"note": {"id": 1, "body": "closed", "noteable_type": "Issue", "noteable_iid": 3, "system": True}},
    ],
)
def test_what_rails_cannot_refer_to_is_passed_over(edit: dict[str, Any]) -> None:
    assert item("comments", {"id": 5, "created_at": "2026-11-20T10:00:00Z"} | edit).event is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("comments", {"message": "no"}),
        ("comments", [{"id": 1}]),
        ("comments", [{"id": 1, "created_at": "2026-11-20T10:00:00"}]),
        ("comments", [{"id": 1, "created_at": "2026-11-20T10:00:00Z", "note": {"id": 1}}]),
        ("reopened", [{"id": 1, "created_at": "2026-11-20T10:00:00Z", "target_iid": -1}]),
        ("issues", [{"iid": 1}]),
        ("merge_requests", [[]]),
    ],
)
def test_a_list_of_another_shape_is_refused(name: str, content: Any) -> None:
    with pytest.raises(UnexpectedResponse):
        page(name, content)


def test_the_lists_are_asked_for_by_time_and_the_newest_first() -> None:
    since = 1_795_910_400_250  # 2026-11-29 00:00:00.250 UTC
    asked = {name: dict(each.list(since, 2, 'W/"a"').request.query) for name, each in LISTS.items()}
    assert asked["comments"]["after"] == asked["reopened"]["after"] == "2026-11-27"
    assert asked["issues"]["updated_after"] == asked["merge_requests"]["updated_after"] == "2026-11-29T00:00:00.250Z"
    assert {each["sort"] for each in asked.values()} == {"desc"}
    assert {each["page"] for each in asked.values()} == {"2"}
    call = LISTS["issues"].list(since, 1, 'W/"a"')
    assert call.request.headers == {"If-None-Match": 'W/"a"'}
    assert call.read(response(304)).items is None
    assert page("issues", [], X_Next_Page="2", ETag="x") == FeedPage((), 2, "x")
    assert page("issues", [], X_Next_Page="").next_page is None
