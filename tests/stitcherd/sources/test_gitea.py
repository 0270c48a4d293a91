"""Payloads of Gitea and Forgejo webhooks and the names of their events."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from multidict import CIMultiDict

from shared.models import Thread
from stitcherd.sources import SOURCES, WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import CORPUS, SECRET, corpus

GITEA = SOURCES["gitea"]
DELIVERIES = payloads.DELIVERIES / "gitea"
delivery = partial(payloads.delivery, "gitea")
edited = partial(payloads.edited, "gitea")


def read(name: str, body: Any = None, bot: str | None = "mosaic", header: str = "X-Gitea-Event-Type") -> Trigger:
    headers = CIMultiDict({header: name.partition(".")[0]})
    return GITEA.parse(headers, json.dumps(delivery(name) if body is None else body).encode(), source="home", bot=bot)


NAMES = {
    "issues.opened": "issue.opened",
    "issues.assigned": "issue.assigned",
    "issues.label_updated": "issue.labeled",
    "issue_comment.created": "issue.comment",
    "issue_comment.created_by_an_old_version": "issue.comment",
    "issue_comment.edited": None,
    "pull_request_comment.created": "change.comment",
    "pull_request.opened": "change.opened",
    "pull_request.opened_from_fork": "change.opened",
    "pull_request_sync.synchronized": "change.updated",
    "pull_request_label.label_updated": "change.labeled",
    "pull_request_review_request.review_requested": "change.review_requested",
    "pull_request_review_rejected.reviewed": "change.review",
    "push.branch": "push",
    "status.failure": "check.completed",
    "workflow_run.completed": "check.completed",
    "repository.created": None,
}


def test_each_event_gets_its_name() -> None:
    assert {path.stem: read(path.stem).name for path in DELIVERIES.glob("*.json")} == NAMES


def test_all_fields_of_a_comment() -> None:
    title, body = "Pagination drops the last row", "Ask for page 2 of 21 rows: one is missing."
    comment = "I can see it too.\n\n@mosaic fix the last row\n"  # its lines end in \r\n
    expected = Trigger(
        source="home",
        event="issue_comment",
        action="created",
        name="issue.comment",
        sender="home:hubot",
        author="home:hubot",
        account_ids={"home:hubot": ("4",), "home:octocat": ("3",)},
        repository="octo-org/api",
        thread=Thread("issue", 479, title, "https://git.example.com/octo-org/api/issues/479", "home:octocat"),
        comment_id="1700",
        subject="comment:1700",
        labels=("ready",),
        closed=False,
        locked=False,
        commands=(Command("fix", "the last row"),),
        quotes=(
            Quote("home:octocat", "title", title),
            Quote("home:octocat", "body", body),
            Quote("home:hubot", "comment", comment),
        ),
    )
    assert read("issue_comment.created") == expected
    old = edited(
        "issue_comment.created_by_an_old_version", {"/issue/labels": delivery("issues.opened")["issue"]["labels"]}
    )
    assert "is_pull" not in edited("issue_comment.created_by_an_old_version", {})
    assert read("issue_comment.created", old) == expected


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"X-Gitea-Event": "issue_comment", "X-Gitea-Event-Type": "pull_request_comment"}, "pull_request_comment"),
        ({"X-Gitea-Event": "", "X-Gitea-Event-Type": "pull_request_comment"}, "pull_request_comment"),
        ({"X-Gitea-Event": "push", "X-Gitea-Event-Type": "issue_comment"}, "issue_comment"),
        ({"X-Gitea-Event": "issue_comment", "X-GitHub-Event": "push", "X-Gogs-Event": "push"}, "issue_comment"),
        ({"X-Gitea-Event-Type": "", "X-Forgejo-Event": "issue_comment"}, "issue_comment"),
        ({"X-Forgejo-Event-Type": "pull_request_comment", "X-Gitea-Event": "push"}, "pull_request_comment"),
    ],
)
def test_the_specific_event_header_wins_and_githubs_is_ignored(headers: Mapping[str, str], word: str) -> None:
    body = json.dumps(delivery("pull_request_comment.created")).encode()
    trigger = GITEA.parse(CIMultiDict(headers), body, source="home", bot="mosaic")
    assert (trigger.event, trigger.name) == (word, "change.comment")


@pytest.mark.parametrize(
    ("edits", "name"),
    [
        ({"/action": "reopened"}, "change.opened"),
        ({"/action": "edited", "/changes": {"title": {"from": "WIP: Keep it"}}}, "change.opened"),
        ({"/action": "edited", "/changes": {"title": {"from": "[wip] Keep it"}}}, "change.opened"),
        ({"/action": "edited", "/changes": {"title": {"from": "Wipe it"}}}, None),
        ({"/action": "edited", "/changes": {"body": {"from": "WIP: Keep it"}}}, None),
        (
            {"/action": "edited", "/changes": {"title": {"from": "WIP: x"}}, "/pull_request/title": "WIP: Keep it"},
            None,
        ),
        ({"/action": "edited", "/changes": {"title": {"from": "WIP: x"}}, "/pull_request/draft": True}, None),
        ({"/action": "closed"}, None),
    ],
)
def test_a_change_is_opened_again_or_becomes_ready(edits: Mapping[str, Any], name: str | None) -> None:
    body = delivery("pull_request.opened") | {"changes": None}
    for pointer, value in edits.items():
        payloads.put(body, pointer, value)
    assert read("pull_request", body).name == name


@pytest.mark.parametrize(
    ("name", "edits", "states"),
    [
        ("issue_comment.created", {"/issue/state": "closed", "/issue/is_locked": True}, (None, True, True)),
        ("issue_comment.created", {"/issue/state": None, "/issue/is_locked": None}, (None, None, None)),
        ("issue_comment.created", {"/issue/title": "WIP: no change"}, (None, False, False)),
        ("pull_request_comment.created", {"/issue/title": "WIP: Keep it"}, (True, False, False)),
        ("pull_request_comment.created", {"/issue/pull_request": {"draft": True}}, (True, False, False)),
        ("pull_request.opened", {"/pull_request/title": "[WIP] Keep it"}, (True, False, False)),
        ("pull_request.opened", {"/pull_request/draft": False, "/pull_request/title": "WIP: x"}, (False, False, False)),
        ("pull_request.opened", {"/pull_request/state": "closed", "/pull_request/draft": None}, (None, True, False)),
        ("push.branch", {}, (None, None, None)),
    ],
)
def test_the_states_of_a_thread(
    name: str, edits: Mapping[str, Any], states: tuple[bool | None, bool | None, bool | None]
) -> None:
    trigger = read(name, edited(name, edits))
    assert (trigger.draft, trigger.closed, trigger.locked) == states


def test_either_field_marks_a_comment_on_a_change() -> None:
    for edits in ({"/is_pull": None}, {"/issue/pull_request": None}):
        trigger = read("issue_comment", edited("pull_request_comment.created", edits))
        assert trigger.thread
        assert (trigger.name, trigger.thread.kind) == ("change.comment", "change")


@pytest.mark.parametrize("word", ["pull_request_review_rejected", "pull_request_rejected", "pull_request_comment"])
def test_review_events(word: str) -> None:
    trigger = read(word, delivery("pull_request_review_rejected.reviewed"))
    assert (trigger.name, trigger.author) == ("change.review", "home:hubot")
    assert trigger.commands == (Command("review", "again"),)
    assert trigger.quotes[-1] == Quote("home:hubot", "comment", "Not yet.\n\n@mosaic review again")


@pytest.mark.parametrize("word", [None, ""])
def test_without_an_event_header_any_event_is_possible(word: str | None) -> None:
    headers = CIMultiDict({} if word is None else {"X-Gitea-Event": word, "X-GitHub-Event": "issues"})
    with pytest.raises(WrongShape, match=r"^X-Gitea-Event: missing$") as caught:
        GITEA.parse(headers, b"{}", source="home", bot="mosaic")
    assert {"issue.comment", "push", "check.completed"} <= set(caught.value.may_be)


@pytest.mark.parametrize("word", ["Issues", "is sues", "x" * 200, "issues\udcff", "package-2"])
def test_an_event_of_any_other_name_is_unnamed(word: str) -> None:
    body = json.dumps(delivery("issues.opened")).encode()
    trigger = GITEA.parse(CIMultiDict({"X-Gitea-Event": word}), body, source="home", bot="mosaic")
    assert (trigger.name, trigger.repository) == (None, "octo-org/api")
    assert trigger.event.isascii()
    assert trigger.event != "issues"


def test_all_assignees_count_as_newly_assigned() -> None:
    assert read("issues.assigned").assignees == ("home:hubot", "home:mosaic")
    alone = edited("issues.assigned", {"/issue/assignees": None})
    assert read("issues.assigned", alone).assignees == ("home:hubot",)
    nobody = edited("issues.assigned", {"/issue/assignees": [], "/issue/assignee": None})
    assert read("issues.assigned", nobody).assignees == ()
    assert read("issues.label_updated", edited("issues.assigned", {"/action": "label_updated"})).assignees == ()
    assert read("pull_request_review_request.review_requested").reviewers == ("home:mosaic",)


def test_source_and_target_of_a_change() -> None:
    trigger = read("pull_request_sync.synchronized")  # whose number is beside it
    assert trigger.thread
    assert (trigger.thread.kind, trigger.thread.number) == ("change", 480)
    assert (trigger.from_fork, trigger.ref) == (False, "main")
    assert trigger.head_sha == "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
    assert read("pull_request.opened_from_fork").from_fork is True


@pytest.mark.parametrize(
    ("edits", "fork"),
    [
        ({"/pull_request/head/repo": None}, False),
        ({"/pull_request/head/repo": None, "/pull_request/head/repo_id": 0}, True),
        ({"/pull_request/head/repo": None, "/pull_request/base/repo_id": None}, True),
        ({"/pull_request/head/repo/full_name": "evil/api"}, True),
    ],
)
def test_a_fork_is_another_repository(edits: Mapping[str, Any], fork: bool) -> None:
    assert read("pull_request.opened", edited("pull_request.opened", edits)).from_fork is fork


def test_the_number_is_required() -> None:
    body = delivery("pull_request_sync.synchronized")
    del body["number"]
    with pytest.raises(WrongShape, match=r"^\$\.pull_request\.number: missing$"):
        read("pull_request_sync.synchronized", body)
    with pytest.raises(WrongShape, match=r"^\$\.issue: missing$"):
        read("issues.opened", {"action": "opened"})


def test_text_by_the_bot_is_unusable_and_text_to_it_is_not() -> None:
    own = edited("issue_comment.created", {"/comment/user/login": "Mosaic", "/sender/login": "Mosaic"})
    assert read("issue_comment.created", own).unusable == "written by mosaic itself"
    review = edited("pull_request_review_rejected.reviewed", {"/sender/login": "mosaic"})
    assert read("pull_request_review_rejected.reviewed", review).unusable == "written by mosaic itself"
    theirs = edited("pull_request_review_rejected.reviewed", {"/pull_request/user/login": "mosaic"})
    assert read("pull_request_review_rejected.reviewed", theirs).unusable is None


def test_a_deleted_account_is_none() -> None:
    ghost = edited("issue_comment.created", {"/comment/user/login": "Ghost", "/issue/user/login": "Ghost"})
    trigger = read("issue_comment.created", ghost)
    assert (trigger.author, [quote.author for quote in trigger.quotes]) == (None, [None, None, None])
    assert trigger.thread
    assert trigger.thread.author is None


@pytest.mark.parametrize("name", ["issue_comment.edited", "repository.created", "pull_request_assign.assigned"])
def test_edits_and_unknown_events_have_no_name(name: str) -> None:
    body = None if name != "pull_request_assign.assigned" else edited("pull_request.opened", {"/action": "assigned"})
    trigger = read(name, body)
    assert (trigger.name, trigger.commands, trigger.unusable) == (None, (), None)
    assert trigger.repository == "octo-org/api"


def test_a_pending_status_has_no_name() -> None:
    assert read("status.failure", edited("status.failure", {"/state": "pending"})).name is None


REAL = {
    "issue_comment.created": "issue.comment",
    "issue_comment.created_on_pull": "change.comment",
    "issues.assigned": "issue.assigned",
    "issues.label_updated": "issue.labeled",
    "issues.opened": "issue.opened",
    "pull_request.assigned": None,
    "pull_request.closed_merged": None,
    "pull_request.label_cleared": None,
    "pull_request.label_updated": "change.labeled",
    "pull_request.opened": "change.opened",
    "pull_request.review_requested": "change.review_requested",
    "pull_request.synchronized": "change.updated",
    "pull_request_approved.reviewed": "change.review",
    "pull_request_comment.reviewed": "change.review",
    "pull_request_rejected.reviewed": "change.review",
    "push.branch": "push",
}


@corpus
@pytest.mark.parametrize("name", REAL)
def test_real_deliveries(name: str) -> None:
    headers, body = payloads.real_delivery(CORPUS / "gitea" / f"{name}.json")
    assert GITEA.verify(headers, body, [b"old", SECRET]) == 2
    assert GITEA.external_id(headers) == headers["X-Gitea-Delivery"]
    trigger = GITEA.parse(headers, body, source="gitea", bot="mosaic")
    assert (trigger.name, trigger.event) == (REAL[name], headers["X-Gitea-Event-Type"])
    assert trigger.sender
    coarse = CIMultiDict({"X-Gitea-Event": headers["X-Gitea-Event"]})
    assert GITEA.parse(coarse, body, source="gitea", bot="mosaic").name == REAL[name]


CASES: Mapping[str, Callable[[Trigger], object]] = {
    "mention-gitea": lambda trigger: trigger.commands == (Command("fix", "please"),),
    "assigned-to-other": lambda trigger: trigger.assignees == ("gitea:bob",),
    "gitea-as-github": lambda trigger: (trigger.name, trigger.sender) == ("issue.comment", "gitea:example"),
}


@corpus
@pytest.mark.parametrize("case", CASES)
def test_the_hostile_cases(case: str) -> None:
    headers, body = payloads.hostile_case(case)
    assert CASES[case](GITEA.parse(headers, body, source="gitea", bot="mosaic"))
