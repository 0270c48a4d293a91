"""Parsing of GitLab webhooks."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from shared.models import Thread
from stitcherd.sources import SOURCES, WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger

GITLAB = SOURCES["gitlab"]
DELIVERIES = Path(__file__).parents[2] / "deliveries" / "gitlab"
CORPUS = Path(__file__).parents[3].parent / "shared" / "payloads"
SECRET = b"It's a Secret to Everybody"
NOW = 1_764_000_000_000
SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


def delivery(name: str) -> Any:
    return json.loads((DELIVERIES / f"{name}.json").read_text())


def read(name: str, body: Any = None, bot: str | None = "mosaic", hook: str = "Some Hook") -> Trigger:
    headers = CIMultiDict({"x-gitlab-event": hook})
    return GITLAB.parse(headers, json.dumps(body or delivery(name)).encode(), source="lab", bot=bot)


def put(body: Any, pointer: str, value: Any) -> None:
    *path, last = (int(part) if part.isdigit() else part for part in pointer.strip("/").split("/"))
    for part in path:
        body = body[part]
    body[last] = value


def changed(name: str, edits: Mapping[str, Any]) -> Any:
    body = copy.deepcopy(delivery(name))
    for pointer, value in edits.items():
        put(body, pointer, value)
    return body


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


def test_all_fields_of_a_note() -> None:
    title, body = "Pagination drops the last row", "Ask for page 2 of 21 rows: one is missing."
    expected = Trigger(
        source="lab",
        event="note",
        action="create",
        name="issue.comment",
        sender="lab:hubot",
        author="lab:hubot",
        repository="octo-org/api",
        thread=Thread("issue", 479, title, "https://gitlab.example.com/octo-org/api/-/issues/479", "lab:#3"),
        labels=("ready",),
        commands=(Command("fix", "the last row"),),
        quotes=(
            Quote("lab:#3", "title", title),
            Quote("lab:#3", "body", body),
            Quote("lab:hubot", "comment", "I can see it too.\n\n@mosaic fix the last row\n"),
        ),
    )
    assert read("note.issue") == expected
    old = read("note.issue_by_an_old_version")
    assert (old.commands, old.author, old.thread) == (expected.commands, expected.author, expected.thread)


@pytest.mark.parametrize(
    ("edits", "author"),
    [
        ({"/issue/author_id": 4}, "lab:hubot"),
        ({"/issue/author_id": 7}, "lab:#7"),
        ({"/issue/author_id": None}, None),
        ({"/issue/author_id": 4, "/user/id": None}, "lab:hubot"),
        ({"/issue/author_id": 4, "/user/username": "ghost"}, None),
        ({"/assignees": [{"id": 3, "username": "octocat"}, None]}, "lab:octocat"),
        ({"/reviewers": [{"id": 3, "username": "octocat"}]}, "lab:octocat"),
        ({"/assignee": {"username": "octocat"}}, "lab:#3"),
    ],
)
def test_the_thread_author_is_an_id_unless_the_payload_names_it(edits: Mapping[str, Any], author: str) -> None:
    trigger = read("note.issue", changed("note.issue", edits))
    assert trigger.thread
    assert trigger.thread.author == trigger.quotes[0].author == author


def test_the_author_of_a_note_need_not_be_its_sender() -> None:
    trigger = read("note.issue", changed("note.issue", {"/object_attributes/author_id": 7}))
    assert (trigger.sender, trigger.author, trigger.quotes[-1].author) == ("lab:hubot", "lab:#7", "lab:#7")


@pytest.mark.parametrize(
    ("edits", "new"),
    [
        ({}, True),
        ({"/object_attributes/action": "update"}, False),
        ({"/object_attributes/action": "action_of_tomorrow"}, False),
        ({"/object_attributes/action": None}, True),
        ({"/object_attributes/action": None, "/object_attributes/updated_at": "2026-11-20 10:00:01 UTC"}, False),
        ({"/object_attributes/action": None, "/object_attributes/created_at": None}, False),
        (
            {
                "/object_attributes/action": None,
                "/object_attributes/created_at": None,
                "/object_attributes/updated_at": None,
            },
            False,
        ),
        ({"/object_attributes/system": True}, False),
        ({"/object_attributes/noteable_type": "Epic"}, False),
    ],
)
def test_only_a_new_note_by_a_person_holds_commands(edits: Mapping[str, Any], new: bool) -> None:
    trigger = read("note.issue", changed("note.issue", edits))
    assert (trigger.name == "issue.comment") is new
    assert bool(trigger.commands) is new
    assert trigger.unusable is None


@pytest.mark.parametrize("name", ["issue.open", "merge_request.open", "issue.update_labels"])
def test_other_events_hold_no_commands(name: str) -> None:
    body = changed(name, {"/object_attributes/description": "@mosaic fix", "/object_attributes/note": "@mosaic fix"})
    assert read(name, body).commands == ()


@pytest.mark.parametrize(
    ("name", "edits", "hook"),
    [
        ("issue.open_confidential", {}, "Confidential Issue Hook"),
        ("issue.open_confidential", {}, "Issue Hook"),
        ("issue.open", {}, "Confidential Issue Hook"),
        ("issue.open", {"/object_attributes/confidential": True}, "Issue Hook"),
        ("issue.open", {"/event_type": "confidential_issue"}, "Issue Hook"),
        ("note.internal", {}, "Note Hook"),
        ("note.issue", {}, "Confidential Note Hook"),
        ("note.issue", {"/object_attributes/confidential": True}, "Note Hook"),
        ("note.issue", {"/event_type": "confidential_note"}, "Note Hook"),
        ("note.issue", {"/issue/confidential": True}, "Note Hook"),
        ("note.merge_request", {"/object_attributes/internal": True}, "Note Hook"),
        ("wiki_page.create", {}, "Confidential Wiki Hook"),
    ],
)
def test_confidential_events_carry_no_text(name: str, edits: Mapping[str, Any], hook: str) -> None:
    trigger = read(name, changed(name, edits), hook=hook)
    assert trigger.unusable
    assert trigger.unusable.startswith("confidential: ")
    assert (trigger.name, trigger.thread, trigger.labels, trigger.commands, trigger.quotes) == (None, None, (), (), ())
    assert trigger.repository == "octo-org/api"


def test_only_added_users_are_assigned_or_requested() -> None:
    assert read("issue.update_assignees").assignees == ("lab:mosaic",)
    assert read("issue.open").assignees == ("lab:mosaic",)  # GitLab sends no second event for it
    assert read("issue.update_labels").assignees == ()
    assert read("merge_request.update_reviewers").reviewers == ("lab:mosaic",)
    assert read("merge_request.open").reviewers == ("lab:mosaic",)
    left = {"/changes/assignees/current": delivery("issue.update_assignees")["changes"]["assignees"]["previous"]}
    assert read("issue.update_assignees", changed("issue.update_assignees", left)).name is None


def test_a_review_may_be_requested_again() -> None:
    people = {"previous": [{"username": "mosaic"}], "current": [{"username": "mosaic", "re_requested": True}, None]}
    trigger = read(
        "merge_request.update_reviewers", changed("merge_request.update_reviewers", {"/changes/reviewers": people})
    )
    assert (trigger.name, trigger.reviewers) == ("change.review_requested", ("lab:mosaic",))
    people["current"] = [{"username": "mosaic", "re_requested": False}]
    trigger = read(
        "merge_request.update_reviewers", changed("merge_request.update_reviewers", {"/changes/reviewers": people})
    )
    assert (trigger.name, trigger.reviewers) == (None, ())


def test_an_update_of_several_things_has_one_name() -> None:
    labels = delivery("issue.update_labels")["changes"]["labels"]
    both = changed("issue.update_assignees", {"/changes/labels": labels})
    assert read("issue.update_assignees", both).name == "issue.assigned"
    both = changed("merge_request.update_reviewers", {"/changes/labels": labels})
    assert read("merge_request.update_reviewers", both).name == "change.review_requested"
    assert read("merge_request.update_pushed").assignees == ()  # told with a push, but nobody came in


@pytest.mark.parametrize("action", ["approved", "approval", "unapproved", "unapproval"])
def test_an_approval_is_a_review_by_its_sender(action: str) -> None:
    edits = {"/object_attributes/action": action, "/object_attributes/author_id": 9}
    trigger = read("merge_request.approved", changed("merge_request.approved", edits))
    assert (trigger.name, trigger.author, trigger.unusable) == ("change.review", "lab:hubot", None)
    reset = changed("merge_request.approved", {"/object_attributes/action": action, "/object_attributes/system": True})
    assert read("merge_request.approved", reset).name is None


@pytest.mark.parametrize("name", ["merge_request.open", "note.merge_request", "note.diff"])
def test_source_and_target_of_a_change(name: str) -> None:
    trigger = read(name)
    assert trigger.thread
    assert (trigger.thread.kind, trigger.thread.number, trigger.thread.title) == ("change", 480, "Keep the last row")
    assert (trigger.from_fork, trigger.ref, trigger.head_sha) == (False, "main", SHA)


@pytest.mark.parametrize(("project", "fork"), [(11, False), (12, True), (None, True)])
def test_a_fork_is_another_project(project: int | None, fork: bool) -> None:
    edits = {"/object_attributes/source_project_id": project}
    assert read("merge_request.open", changed("merge_request.open", edits)).from_fork is fork
    edits = {"/merge_request/source_project_id": project}
    assert read("note.merge_request", changed("note.merge_request", edits)).from_fork is fork
    neither = {"/object_attributes/source_project_id": None, "/object_attributes/target_project_id": None}
    assert read("merge_request.open", changed("merge_request.open", neither)).from_fork is True
    assert read("issue.open").from_fork is None


@pytest.mark.parametrize(
    ("name", "edits", "refused"),
    [
        ("note.issue", {"/user/username": "Mosaic"}, True),
        ("note.issue", {"/user/username": "mosaic", "/user/id": None}, True),
        ("note.issue", {"/object_attributes/author_id": 9, "/assignees": [{"id": 9, "username": "mosaic"}]}, True),
        ("note.issue", {"/user/username": "mosaic2"}, False),
        ("note.issue", {"/issue/author_id": 9, "/assignees": [{"id": 9, "username": "mosaic"}]}, False),
        ("issue.open", {"/user/username": "mosaic"}, True),
        ("merge_request.approved", {"/user/username": "mosaic"}, True),
        ("merge_request.update_pushed", {"/user/username": "mosaic"}, False),
    ],
)
def test_text_by_the_bot_is_unusable(name: str, edits: Mapping[str, Any], refused: bool) -> None:
    body = changed(name, edits)
    assert read(name, body).unusable == ("written by mosaic itself" if refused else None)
    assert read(name, body, bot=None).unusable is None


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
    assert read("pipeline.failed", changed("pipeline.failed", {"/object_attributes/status": status})).name is None
    assert read("build.success", changed("build.success", {"/build_status": status})).name is None


def test_a_project_may_be_in_a_group_of_a_group() -> None:
    nested = changed("note.issue", {"/project/path_with_namespace": "octo-org/tools/web/api"})
    assert read("note.issue", nested).repository == "octo-org/tools/web/api"
    for bad in ("api", "a//b", "a/../b", "../a/b", "a/-b", "a/b/", "/a/b", "a/b\n", "a/" * 127 + "bb"):
        with pytest.raises(WrongShape):
            read("note.issue", changed("note.issue", {"/project/path_with_namespace": bad}))


def test_an_unknown_kind_or_action_has_no_name() -> None:
    trigger = read("x", {"object_kind": "feature_flag", "user": {"username": "root"}, "object_attributes": [1]})
    assert (trigger.event, trigger.name, trigger.sender) == ("feature_flag", None, "lab:root")
    for name in ("issue.open", "merge_request.open"):
        assert read(name, changed(name, {"/object_attributes/action": "action_we_do_not_support"})).name is None


@pytest.mark.parametrize(
    ("name", "edits", "where"),
    [
        ("note.issue", {"/object_kind": None}, "$.object_kind: expected `str`, got `null`"),
        ("note.issue", {"/object_kind": "Note Hook"}, "$.object_kind: expected `str` matching regex"),
        ("note.issue", {"/object_attributes": None}, "$.object_attributes: missing"),
        ("note.issue", {"/issue": None}, "$.issue: missing"),
        ("note.issue", {"/issue/iid": 0}, "$.issue.iid: expected `int` >= 1"),
        ("note.merge_request", {"/merge_request": {}}, "$.merge_request.iid: missing"),
        ("issue.open", {"/object_attributes": {}}, "$.object_attributes.iid: missing"),
        ("issue.open", {"/object_attributes/author_id": 10**400}, "$.object_attributes.author_id: expected"),
        ("issue.open", {"/user/username": "a b"}, "$.user.username: expected"),
        ("pipeline.failed", {"/object_attributes/sha": "HEAD"}, "$.object_attributes.sha: expected"),
    ],
)
def test_a_malformed_field_is_named(name: str, edits: Mapping[str, Any], where: str) -> None:
    with pytest.raises(WrongShape) as caught:
        read(name, changed(name, edits))
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize("hook", ["", "x" * 200, "Note\nHook", "\udcff"])
def test_the_event_header_is_required_because_old_versions_mark_confidential_events_only_there(hook: str) -> None:
    with pytest.raises(WrongShape, match="X-Gitlab-Event"):
        read("note.issue", hook=hook)


corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the larger set of real bodies is not here")
REAL = {
    "issue.confidential_open": None,
    "issue.open": "issue.opened",
    "issue.update_labels": "issue.labeled",
    "merge_request.approved": "change.review",
    "merge_request.merge": None,
    "merge_request.open": "change.opened",
    "merge_request.update_assignees": None,
    "merge_request.update_labels": "change.labeled",
    "merge_request.update_reviewers": "change.review_requested",
    "note.commit": None,
    "note.confidential": None,
    "note.diff_review": "change.review_comment",
    "note.issue": "issue.comment",
    "note.merge_request": "change.comment",
    "pipeline.failed_or_success": "check.completed",
    "push.branch": "push",
}


def real(name: str) -> tuple[CIMultiDict[str], bytes]:
    path = CORPUS / "gitlab" / f"{name}.json"
    return CIMultiDict(json.loads(path.with_suffix(".headers.json").read_text())), path.read_bytes()


@corpus
@pytest.mark.parametrize("name", REAL)
def test_real_deliveries(name: str) -> None:
    headers, body = real(name)
    assert GITLAB.verify(headers, body, [b"old", SECRET], NOW) == 2
    del headers["webhook-signature"]
    assert GITLAB.verify(headers, body, [SECRET, b"old"]) == 1
    assert GITLAB.external_id(headers) == headers["Idempotency-Key"]
    trigger = GITLAB.parse(headers, body, source="gitlab", bot="mosaic")
    assert trigger.name == REAL[name]
    assert trigger.event == json.loads(body)["object_kind"]
    assert bool(trigger.unusable) is ("confidential" in name)


@corpus
def test_the_hostile_case() -> None:
    cases = {each["id"]: each for each in json.loads((CORPUS / "mutations.json").read_text())}
    headers, raw = real(Path(cases["mention-gitlab"]["base"]).stem)
    body = json.loads(raw)
    for pointer, value in cases["mention-gitlab"]["set"].items():
        put(body, pointer, value)
    trigger = GITLAB.parse(headers, json.dumps(body).encode(), source="gitlab", bot="mosaic")
    assert trigger.commands == (Command("fix", "please"),)
