"""What was done to threads of GitLab is read as the webhooks of it are."""

from typing import Any

import pytest

from stitcherd.forges.base import FeedItem, UnexpectedResponse
from tests.stitcherd.forges.responses import response
from tests.stitcherd.forges.test_gitlab_pull import HOOKS, OF_THREADS, account, at, item, parse, read, thread_body
from tests.stitcherd.sources.payloads import delivery

DONE_AT = "2026-11-22T14:00:00.700Z"  # as GitLab tells it, after the thread was changed
CHANGED_AT = "2026-11-22 14:00:00 UTC"
LATER = "2026-11-22T14:00:09.100Z"


def activity(kind: str, thread: Any, listed: str, content: Any) -> tuple[FeedItem, ...]:
    """Return the items of a list of a thread."""
    [feed] = [each for each in item(OF_THREADS[kind], thread).feeds if each.name.startswith(listed)]
    assert feed.list(0, 1, None).request.path.startswith(f"/{OF_THREADS[kind]}/{thread['iid']}/")
    return feed.list(0, 1, None).read(response(200, content)).items or ()


def note(body: str, by: int, **more: Any) -> dict[str, Any]:
    return {"id": 41, "body": body, "author": account(by), "system": True, "created_at": DONE_AT, **more}


def label(name: str | None, by: int = 4, **more: Any) -> dict[str, Any]:
    named = None if name is None else {"id": 1, "name": name}
    return {"id": 51, "user": account(by), "created_at": DONE_AT, "label": named, "action": "add", **more}


@pytest.mark.parametrize("changed_again", [False, True])
@pytest.mark.parametrize(
    ("name", "listed", "content", "subject"),
    [
        ("issue.update_assignees", "notes", note("assigned to @mosaic", 4), "assigned:479:mosaic"),
        (
            "issue.update_assignees",
            "notes",
            note("assigned to @mosaic and unassigned @hubot", 4),
            "assigned:479:mosaic",
        ),
        ("issue.update_labels", "labels", label("ready"), "labeled:479:ready"),
        ("merge_request.update_labels", "labels", label("ready", 3), "labeled:!480:ready"),
        (
            "merge_request.update_reviewers",
            "notes",
            note("requested review from @mosaic", 3),
            "review-requested:!480:mosaic",
        ),
    ],
)
def test_an_update_is_read_as_its_webhook(
    name: str, listed: str, content: Any, subject: str, changed_again: bool
) -> None:
    webhook = delivery("gitlab", name)
    attributes = webhook["object_attributes"]
    attributes["updated_at"] = CHANGED_AT
    expected = parse({"X-Gitlab-Event": HOOKS[webhook["object_kind"]]}, webhook)
    thread = thread_body(attributes, webhook)
    if changed_again:
        thread["updated_at"] = LATER
    [told] = activity(webhook["object_kind"], thread, listed, [content])
    found = read(told.event)
    assert found.subject == expected.subject == f"{subject}:2026-11-22T14:00:00Z"
    assert (found.name, found.sender, found.labels) == (expected.name, expected.sender, expected.labels)
    assert (found.assignees, found.reviewers) == (expected.assignees, expected.reviewers)
    assert found.thread == expected.thread


def test_a_draft_that_is_marked_as_ready_is_read_as_its_webhook() -> None:
    webhook = delivery("gitlab", "merge_request.update_labels")
    webhook["object_attributes"]["updated_at"] = CHANGED_AT
    webhook["changes"] = {"draft": {"previous": True, "current": False}}
    expected = parse({"X-Gitlab-Event": "Merge Request Hook"}, webhook)
    thread = thread_body(webhook["object_attributes"], webhook)
    [told] = activity("merge_request", thread, "notes", [note("marked this merge request as **ready**", 3)])
    assert read(told.event) == expected
    assert expected.name == "change.opened"


@pytest.mark.parametrize(
    ("body", "assignees"),
    [
        ("assigned to @a.b-c and @mosaic", ["a.b-c", "mosaic"]),
        ("assigned to @a, @mosaic, and @unassigned and unassigned @d, @e, and @f", ["a", "mosaic", "unassigned"]),
    ],
)
def test_several_accounts_of_one_update_are_read(body: str, assignees: list[str]) -> None:
    thread = thread_body(delivery("gitlab", "issue.open")["object_attributes"])
    [told] = activity("issue", thread, "notes", [note(body, 4)])
    assert read(told.event).assignees == tuple(f"lab:{login}" for login in assignees)


def test_labels_of_one_update_are_one_event() -> None:
    thread = thread_body(delivery("gitlab", "issue.open")["object_attributes"])
    listed = [
        label("ready", id=51),
        label("bug", id=52),
        label("old", id=53, action="remove"),
        label("later", id=54, created_at=LATER),
        label(None, id=55, created_at=LATER),
        label("mine", by=3, id=56, created_at=LATER),
    ]
    found = activity("issue", thread | {"updated_at": LATER}, "labels", listed)
    assert [each.id for each in found] == ["label:51", "label:53", "label:54", "label:56"]
    assert [None if each.event is None else read(each.event).subject for each in found] == [
        "labeled:479:bug,ready:2026-11-22T14:00:00Z",
        None,
        "labeled:479:later:2026-11-22T14:00:09Z",
        "labeled:479:mine:2026-11-22T14:00:09Z",
    ]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("issue", note("assigned to @mosaic", 4, system=False)),
        ("issue", note("unassigned @mosaic", 4)),
        ("issue", note("changed title from **assigned to @mosaic** to **x**", 4)),
        ("issue", note("requested review from @mosaic", 4)),
        ("issue", note("marked this merge request as **ready**", 4)),
        ("merge_request", note("removed review request for @mosaic", 3)),
        ("merge_request", note("assigned to @mosaic", 3)),
        ("merge_request", note("marked this merge request as **draft**", 3)),
    ],
)
def test_other_notes_tell_nothing(kind: str, told: Any) -> None:
    thread = thread_body(delivery("gitlab", f"{kind}.open")["object_attributes"])
    assert [each.event for each in activity(kind, thread, "notes", [told])] == [None]


def test_what_a_thread_was_opened_with_is_told_by_its_opening_alone() -> None:
    attributes = delivery("gitlab", "issue.open")["object_attributes"]
    opened = at(attributes["created_at"])
    thread = thread_body(attributes)
    for event in (note("assigned to @mosaic", 3, created_at=opened), label("ready", 3, created_at=opened)):
        listed = "notes" if "body" in event else "labels"
        assert [each.event for each in activity("issue", thread, listed, [event])] == [None]
        by_another = event | {"author": account(4), "user": account(4)}
        [told] = activity("issue", thread, listed, [by_another])
        assert told.event is not None


@pytest.mark.parametrize(
    ("listed", "content"),
    [("notes", {"message": "no"}), ("notes", [{"id": 1, "body": "x"}]), ("labels", [{"id": 1}]), ("labels", [3])],
)
def test_a_list_of_another_shape_is_refused(listed: str, content: Any) -> None:
    thread = thread_body(delivery("gitlab", "issue.open")["object_attributes"])
    with pytest.raises(UnexpectedResponse):
        activity("issue", thread, listed, content)
