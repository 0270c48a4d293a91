"""Payloads of GitLab webhooks and the names of their events."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, WrongShape
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.sources import payloads

GITLAB = SOURCES["gitlab"]
DELIVERIES = payloads.DELIVERIES / "gitlab"
delivery = partial(payloads.delivery, "gitlab")
edited = partial(payloads.edited, "gitlab")
NOW = 1_764_000_000_000
SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


def read(name: str, body: Any = None, bot: str | None = "mosaic", hook: str = "Some Hook") -> Trigger:
    headers = CIMultiDict({"x-gitlab-event": hook})
    return GITLAB.parse(headers, json.dumps(delivery(name) if body is None else body).encode(), source="lab", bot=bot)


NAMES = {
    "issue.open": "issue.opened",
    "issue.update_assignees": "issue.assigned",
    "issue.update_labels": "issue.labeled",
    "issue.update_labels_removed": None,
    "issue.close": None,
    "issue.open_confidential": None,
    "note.issue": "issue.comment",
    "note.issue_by_an_old_version": "issue.comment",
    "note.issue_edited": None,
    "note.internal": None,
    "note.system": None,
    "note.merge_request": "change.comment",
    "note.diff": "change.review_comment",
    "note.commit": None,
    "merge_request.open": "change.opened",
    "merge_request.open_from_fork": "change.opened",
    "merge_request.update_pushed": "change.updated",
    "merge_request.update_reviewers": "change.review_requested",
    "merge_request.update_labels": "change.labeled",
    "merge_request.update_assignees": None,
    "merge_request.approved": "change.review",
    "merge_request.merge": None,
    "push.branch": "push",
    "push.branch_deleted": "push",
    "pipeline.failed": "check.completed",
    "pipeline.running": None,
    "build.success": "check.completed",
    "wiki_page.create": None,
}


def test_each_event_gets_its_name() -> None:
    assert {path.stem: read(path.stem).name for path in DELIVERIES.glob("*.json")} == NAMES


def test_only_added_users_are_assigned_or_requested() -> None:
    assert read("issue.update_assignees").assignees == ("lab:mosaic",)
    assert read("issue.open").assignees == ("lab:mosaic",)  # GitLab sends no second event for it
    assert read("issue.update_labels").assignees == ()
    assert read("merge_request.update_reviewers").reviewers == ("lab:mosaic",)
    assert read("merge_request.open").reviewers == ("lab:mosaic",)
    left = {"/changes/assignees/current": delivery("issue.update_assignees")["changes"]["assignees"]["previous"]}
    assert read("issue.update_assignees", edited("issue.update_assignees", left)).name is None


def test_a_review_may_be_requested_again() -> None:
    people = {"previous": [{"username": "mosaic"}], "current": [{"username": "mosaic", "re_requested": True}, None]}
    trigger = read(
        "merge_request.update_reviewers", edited("merge_request.update_reviewers", {"/changes/reviewers": people})
    )
    assert (trigger.name, trigger.reviewers) == ("change.review_requested", ("lab:mosaic",))
    people["current"] = [{"username": "mosaic", "re_requested": False}]
    trigger = read(
        "merge_request.update_reviewers", edited("merge_request.update_reviewers", {"/changes/reviewers": people})
    )
    assert (trigger.name, trigger.reviewers) == (None, ())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"draft": {"previous": True, "current": False}}, "change.opened"),
        ({"draft": {"previous": False, "current": True}}, None),
        ({"title": {"previous": "Draft: Keep it", "current": "Keep it"}}, "change.opened"),
        ({"title": {"previous": "[WIP] Keep it", "current": "Keep it"}}, "change.opened"),
        ({"title": {"previous": "Keep it", "current": "Draft: Keep it"}}, None),
        ({"title": {"previous": "Draft: x", "current": "(Draft) x"}}, None),
        ({"title": {"previous": "Draftsman", "current": "x"}}, None),
    ],
)
def test_a_draft_becomes_ready(changes: Mapping[str, Any], name: str | None) -> None:
    body = delivery("merge_request.update_assignees")
    assert read("x", {**body, "changes": changes}).name == name
    body["object_attributes"]["oldrev"] = SHA
    assert read("x", {**body, "changes": changes}).name == "change.updated"


def test_a_change_is_opened_again() -> None:
    reopened = edited("merge_request.open", {"/object_attributes/action": "reopen"})
    assert read("x", reopened).name == "change.opened"
    assert read("x", edited("issue.open", {"/object_attributes/action": "reopen"})).name is None


@pytest.mark.parametrize(
    ("name", "edits", "states"),
    [
        ("note.issue", {"/issue/state": "closed", "/issue/discussion_locked": True}, (None, True, True)),
        ("note.issue", {"/issue/state": None, "/issue/title": "Draft: no change"}, (None, None, None)),
        ("note.merge_request", {"/merge_request/state": "merged"}, (None, True, None)),
        ("note.merge_request", {"/merge_request/work_in_progress": True}, (True, False, None)),
        ("note.merge_request", {"/merge_request/title": "Draft: Keep it"}, (True, False, None)),
        ("merge_request.open", {"/object_attributes/draft": True}, (True, False, None)),
        (
            "merge_request.open",
            {"/object_attributes/draft": False, "/object_attributes/title": "Draft: x"},
            (False, False, None),
        ),
        ("push.branch", {}, (None, None, None)),
    ],
)
def test_the_states_of_a_thread(
    name: str, edits: Mapping[str, Any], states: tuple[bool | None, bool | None, bool | None]
) -> None:
    body = delivery(name)
    for thread in ("issue", "merge_request", "object_attributes"):
        for field in ("draft", "work_in_progress", "discussion_locked"):
            body.get(thread, {}).pop(field, None)
    for pointer, value in edits.items():
        payloads.put(body, pointer, value)
    trigger = read(name, body)
    assert (trigger.draft, trigger.closed, trigger.locked) == states


def test_an_update_of_several_things_has_one_name() -> None:
    labels = delivery("issue.update_labels")["changes"]["labels"]
    both = edited("issue.update_assignees", {"/changes/labels": labels})
    assert read("issue.update_assignees", both).name == "issue.assigned"
    both = edited("merge_request.update_reviewers", {"/changes/labels": labels})
    assert read("merge_request.update_reviewers", both).name == "change.review_requested"
    assert read("merge_request.update_pushed").assignees == ()  # sent with a push, but no assignee was added


@pytest.mark.parametrize("action", ["approved", "approval", "unapproved", "unapproval"])
def test_an_approval_is_a_review_by_its_sender(action: str) -> None:
    edits = {"/object_attributes/action": action, "/object_attributes/author_id": 9}
    trigger = read("merge_request.approved", edited("merge_request.approved", edits))
    assert (trigger.name, trigger.author, trigger.unusable) == ("change.review", "lab:hubot", None)
    reset = edited("merge_request.approved", {"/object_attributes/action": action, "/object_attributes/system": True})
    assert read("merge_request.approved", reset).name is None


def test_pushes_and_checks_have_a_commit_and_no_thread() -> None:
    for name in ("push.branch", "pipeline.failed", "build.success"):
        trigger = read(name)
        assert (trigger.head_sha, trigger.thread, trigger.sender, trigger.author) == (SHA, None, "lab:octocat", None)
    assert read("push.branch_deleted").head_sha is None
    nameless = delivery("push.branch")
    del nameless["user_username"]
    assert read("push.branch", nameless).sender is None


@pytest.mark.parametrize("status", ["created", "pending", "running", "manual", "scheduled", None])
def test_only_a_final_status_completes_a_check(status: str | None) -> None:
    assert read("pipeline.failed", edited("pipeline.failed", {"/object_attributes/status": status})).name is None
    assert read("build.success", edited("build.success", {"/build_status": status})).name is None


def test_a_project_may_be_in_a_group_of_a_group() -> None:
    nested = edited("note.issue", {"/project/path_with_namespace": "octo-org/tools/web/api"})
    assert read("note.issue", nested).repository == "octo-org/tools/web/api"
    for bad in ("api", "a//b", "a/../b", "../a/b", "-a/b", "a/-b/c", "a/b/", "/a/b", "a/b\n", "a/" * 127 + "bb"):
        with pytest.raises(WrongShape):
            read("note.issue", edited("note.issue", {"/project/path_with_namespace": bad}))


@pytest.mark.parametrize(
    ("body", "hook", "event", "sender", "repository"),
    [
        ({"event_name": "user_add_to_group", "user_username": "alice"}, "Member Hook", "user_add_to_group", None, None),
        ({"event_name": "subgroup_create", "group_path": "g"}, "Subgroup Hook", "subgroup_create", None, None),
        ({"event_name": "project_create", "path_with_namespace": "g/p"}, "System Hook", "project_create", None, "g/p"),
        ({"event_name": "user_create", "username": "al"}, "System Hook", "user_create", None, None),
        ({"event_name": "user_create-2", "user": 5}, "System Hook", "user_create-2", None, None),
        ({"group_path": "g"}, "Member Hook", "Member Hook", None, None),
        ({"object_kind": None, "event_name": ""}, "X-Hook_9", "X-Hook_9", None, None),
        ({"object_kind": "x\u202e\n", "user": {"username": "al"}}, "", "x??", "lab:al", None),
        ({}, "", "unknown", None, None),
    ],
)
def test_an_event_is_called_as_its_body_or_its_header_says(
    body: object, hook: str, event: str, sender: str | None, repository: str | None
) -> None:
    headers = CIMultiDict({"X-Gitlab-Event": hook})
    trigger = GITLAB.parse(headers, json.dumps(body).encode(), source="lab", bot="mosaic")
    assert (trigger.event, trigger.name, trigger.sender) == (event, None, sender)
    assert trigger.repository == repository


def test_a_push_of_a_system_hook_is_a_push() -> None:
    body = delivery("push.branch")
    del body["object_kind"]
    assert read("push.branch", {**body, "event_name": "push"}) == read("push.branch")


@pytest.mark.parametrize(
    ("body", "may_be"),
    [
        ([], {"issue.comment", "change.opened", "push", "check.completed"}),
        ({"object_kind": "note"}, {"issue.comment", "change.comment", "change.review_comment"}),
        ({"object_kind": "issue", "object_attributes": {"action": 5}}, {"issue.opened", "issue.assigned"}),
        ({"object_kind": "push", "after": 5}, {"push"}),
    ],
)
def test_the_names_that_a_malformed_event_may_have(body: object, may_be: set[str]) -> None:
    headers = CIMultiDict({"X-Gitlab-Event": "Some Hook"})
    with pytest.raises(WrongShape) as caught:
        GITLAB.parse(headers, json.dumps(body).encode(), source="lab", bot="mosaic")
    assert set(caught.value.may_be) >= may_be


def test_an_unknown_kind_or_action_has_no_name() -> None:
    trigger = read("x", {"object_kind": "feature_flag", "user": {"username": "root"}, "object_attributes": [1]})
    assert (trigger.event, trigger.name, trigger.sender) == ("feature_flag", None, "lab:root")
    for name in ("issue.open", "merge_request.open"):
        assert read(name, edited(name, {"/object_attributes/action": "action_we_do_not_support"})).name is None


@pytest.mark.parametrize(
    ("name", "edits", "where"),
    [
        ("note.issue", {"/object_kind": 5}, "$.object_kind: expected `str | null`, got `int`"),
        ("note.issue", {"/object_attributes": None}, "$.object_attributes: missing"),
        ("note.issue", {"/issue": None}, "$.issue: missing"),
        ("note.issue", {"/issue/iid": 0}, "$.issue.iid: expected `int` >= 1"),
        ("note.merge_request", {"/merge_request": {}}, "$.merge_request.iid: missing"),
        ("issue.open", {"/object_attributes": {"action": "open"}}, "$.object_attributes.iid: missing"),
        ("issue.open", {"/object_attributes/author_id": 10**400}, "$.object_attributes.author_id: expected"),
        ("pipeline.failed", {"/object_attributes/sha": "HEAD"}, "$.object_attributes.sha: expected"),
    ],
)
def test_a_malformed_field_is_named(name: str, edits: Mapping[str, Any], where: str) -> None:
    with pytest.raises(WrongShape) as caught:
        read(name, edited(name, edits))
    assert str(caught.value).startswith(where)
