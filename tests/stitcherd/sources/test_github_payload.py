"""Payloads of GitHub webhooks: their fields, and what is refused in them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from shared.models import Thread
from stitcherd.sources import WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import read_github as read

edited = partial(payloads.edited, "github")


def test_all_fields_of_a_comment() -> None:
    title, body = "Pagination drops the last row", "Ask for page 2 of 21 rows: one is missing."
    comment = "I can see it too.\n\n@mosaic fix the last row\n"  # its lines end in \r\n
    assert read("issue_comment.created") == Trigger(
        source="work",
        event="issue_comment",
        action="created",
        name="issue.comment",
        sender="work:hubot",
        author="work:hubot",
        account_ids={"work:hubot": ("480938",), "work:octocat": ("583231",)},
        repository="octo-org/api",
        thread=Thread("issue", 479, title, "https://github.com/octo-org/api/issues/479", "work:octocat"),
        comment_id="1700000001",
        subject="comment:1700000001",
        labels=("ready",),
        closed=False,
        commands=(Command("fix", "the last row"),),
        quotes=(
            Quote("work:octocat", "title", title),
            Quote("work:octocat", "body", body),
            Quote("work:hubot", "comment", comment),
        ),
    )


def test_a_comment_on_a_change_lacks_its_fork_and_head() -> None:
    trigger = read("issue_comment.created_on_pull")
    assert trigger.thread
    assert (trigger.thread.kind, trigger.thread.number) == ("change", 480)
    assert (trigger.from_fork, trigger.head_sha, trigger.ref) == (None, None, None)


def test_only_the_named_user_is_assigned_or_requested() -> None:
    assert read("issues.assigned").assignees == ("work:mosaic",)
    assert read("pull_request.review_requested").reviewers == ("work:mosaic",)
    team = edited("pull_request.review_requested", {"/requested_reviewer": None})
    assert read("pull_request.review_requested", team).reviewers == ()


def test_source_and_target_of_a_change() -> None:
    trigger = read("pull_request.opened")
    assert (trigger.from_fork, trigger.ref) == (False, "main")
    assert trigger.head_sha == "ec26c3e57ca3a959ca5aad62de7213c562f8c821"
    assert read("pull_request.opened_from_fork").from_fork is True


@pytest.mark.parametrize(
    ("edits", "fork"),
    [
        ({"/pull_request/head/repo": None}, True),
        ({"/pull_request/head/repo/full_name": None}, True),
        ({"/pull_request/head/repo/full_name": "evil/fork", "/pull_request/head/repo/fork": True}, True),
        ({"/pull_request/head/repo/full_name": "Octo-Org/API"}, False),
        ({"/pull_request/head/repo/fork": True, "/repository/fork": True}, False),
        ({"/pull_request/head": None}, None),
    ],
)
def test_a_fork_is_another_repository(edits: Mapping[str, Any], fork: bool | None) -> None:
    trigger = read("pull_request.opened", edited("pull_request.opened", edits))
    assert trigger.from_fork is fork
    assert trigger.thread
    assert trigger.thread.kind == "change"


def test_a_deleted_account_is_none() -> None:
    edits = {"/issue/user": None, "/comment/user": None, "/sender": None}
    trigger = read("issue_comment.created", edited("issue_comment.created", edits))
    assert (trigger.sender, trigger.author) == (None, None)
    assert trigger.thread
    assert trigger.thread.author is None
    assert [quote.author for quote in trigger.quotes] == [None, None, None]


@pytest.mark.parametrize(
    ("name", "edits", "refused"),
    [
        ("issue_comment.created", {"/sender/login": "Mosaic", "/comment/user/login": "Mosaic"}, True),
        ("issue_comment.created", {"/sender/login": "mosaic[bot]"}, True),
        ("issue_comment.created", {"/comment/user/login": "mosaic"}, True),
        ("issue_comment.created", {"/comment/user/login": "mosaic2"}, False),
        ("issue_comment.created", {"/issue/user/login": "mosaic"}, False),
        ("issues.opened", {"/sender/login": "mosaic"}, True),
        ("pull_request.opened", {"/pull_request/user/login": "mosaic"}, True),
        ("issues.assigned", {"/issue/user/login": "mosaic"}, False),
        ("pull_request.synchronize", {"/sender/login": "mosaic"}, False),
    ],
)
def test_text_by_the_bot_is_unusable(name: str, edits: Mapping[str, Any], refused: bool) -> None:
    body = edited(name, edits)
    assert read(name, body).unusable == ("written by mosaic itself" if refused else None)
    assert read(name, body, bot=None).unusable is None


def test_a_deleted_branch_has_no_head_sha() -> None:
    assert read("push.branch", edited("push.branch", {"/after": "0" * 40})).head_sha is None


def test_null_is_absent() -> None:
    edits = {f"/issue/{field}": None for field in ("title", "body", "labels", "html_url", "pull_request")}
    trigger = read("issue_comment.created", edited("issue_comment.created", {**edits, "/comment/body": None}))
    assert trigger.thread == Thread("issue", 479, "", None, "work:octocat")
    assert (trigger.labels, trigger.quotes, trigger.commands) == ((), (), ())


@pytest.mark.parametrize(
    ("edits", "where"),
    [
        ({"/issue/number": "1"}, "$.issue.number: expected `int`, got `str`"),
        ({"/issue/number": 0}, "$.issue.number: expected `int` >= 1"),
        ({"/issue/number": 2**63}, "$.issue.number: expected `int` <= 9223372036854775807"),
        ({"/issue/number": 10**400}, "$.issue.number: expected `int` <= 9223372036854775807"),
        ({"/issue": None}, "$.issue: missing"),
        ({"/comment": None}, "$.comment: missing"),
        ({"/comment/body": ["x"]}, "$.comment.body: expected `str | null`, got `array`"),
        ({"/repository/full_name": "../etc"}, "$.repository.full_name: expected the name of a repository, owner/name"),
        ({"/issue/labels": "bug"}, "$.issue.labels: expected"),
    ],
)
def test_a_malformed_field_is_named(edits: Mapping[str, Any], where: str) -> None:
    with pytest.raises(WrongShape) as caught:
        read("issue_comment.created", edited("issue_comment.created", edits))
    assert str(caught.value).startswith(where)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b/c",
        "a/..",
        "../b",
        "./b",
        "-a/b",
        "a/b\n",
        "a/b c",
        "a/\x00",
        "/b",
        "a/",
        "é/b",
        "a/" + "b" * 254,
    ],
)
def test_an_invalid_repository_name_is_refused(name: str) -> None:
    with pytest.raises(WrongShape):
        read("push.branch", edited("push.branch", {"/repository/full_name": name}))


@pytest.mark.parametrize(
    ("name", "edits", "states"),
    [
        ("issue_comment.created", {"/issue/state": "closed", "/issue/locked": True}, (None, True, True)),
        ("issue_comment.created", {"/issue/state": None, "/issue/draft": False}, (None, None, None)),
        ("issue_comment.created_on_pull", {"/issue/draft": True, "/issue/locked": False}, (True, False, False)),
        ("pull_request.opened", {"/pull_request/draft": True}, (True, False, None)),
        ("pull_request.opened", {"/pull_request/draft": None, "/pull_request/title": "WIP: x"}, (None, False, None)),
        ("push.branch", {}, (None, None, None)),
    ],
)
def test_the_states_of_a_thread(
    name: str, edits: Mapping[str, Any], states: tuple[bool | None, bool | None, bool | None]
) -> None:
    trigger = read(name, edited(name, edits))
    assert (trigger.draft, trigger.closed, trigger.locked) == states


@pytest.mark.parametrize("action", ["opened", "reopened", "ready_for_review"])
def test_a_change_is_opened_also_again_and_when_it_is_ready(action: str) -> None:
    assert read("pull_request.opened", edited("pull_request.opened", {"/action": action})).name == "change.opened"
    if action != "opened":
        assert read("issues.opened", edited("issues.opened", {"/action": action})).name is None


def test_a_repository_may_begin_with_a_dash() -> None:
    dashed = edited("push.branch", {"/repository/full_name": "octo-org/-dots"})
    assert read("push.branch", dashed).repository == "octo-org/-dots"


@pytest.mark.parametrize("login", ["a" * 101, "alice@example.org", "-octo", "", "a\u200bb", "a b", "a/../b", "x\n"])
def test_a_login_of_another_form_is_missing(login: str) -> None:
    edits = {"/sender/login": login, "/comment/user/login": login}
    trigger = read("issue_comment.created", edited("issue_comment.created", edits))
    assert (trigger.name, trigger.sender, trigger.author) == ("issue.comment", None, None)
    assigned = edited("issues.assigned", {"/assignee/login": login})
    assert read("issues.assigned", assigned).assignees == ()


@pytest.mark.parametrize(
    ("name", "pointer", "absent"),
    [
        ("pull_request.opened", "/pull_request/head/sha", ""),
        ("push.branch", "/after", ""),
        ("push.branch", "/after", "0" * 40),
        ("check_run.completed", "/check_run/head_sha", ""),
    ],
)
def test_an_empty_commit_id_is_absent(name: str, pointer: str, absent: str) -> None:
    assert read(name, edited(name, {pointer: absent})).head_sha is None
    with pytest.raises(WrongShape, match="expected a commit id of 40 or 64 hexadecimal digits"):
        read(name, edited(name, {pointer: "HEAD"}))


def test_what_could_be_read_comes_with_the_fault() -> None:
    edits = {"/issue/labels": "bug", "/comment/body": 5, "/issue/number": "x"}
    with pytest.raises(WrongShape) as caught:
        read("issue_comment.created", edited("issue_comment.created", edits))
    assert caught.value.may_be == {"issue.comment"}
    trigger = caught.value.trigger
    assert trigger
    assert (trigger.sender, trigger.repository, trigger.thread) == ("work:hubot", "octo-org/api", None)
    assert (trigger.labels, trigger.commands) == ((), ())
    assert [quote.kind for quote in trigger.quotes] == ["title", "body"]


@pytest.mark.parametrize(
    ("name", "body", "may_be"),
    [
        ("issue_comment", {"action": "created"}, {"issue.comment", "change.comment"}),
        ("issue_comment", {"action": "created", "issue": 5}, {"issue.comment", "change.comment"}),
        ("issues", {"action": []}, {"issue.opened", "issue.assigned", "issue.labeled"}),
        ("push", [], {"push"}),
        ("status", "x", {"check.completed"}),
    ],
)
def test_the_names_that_a_malformed_event_may_have(name: str, body: object, may_be: set[str]) -> None:
    with pytest.raises(WrongShape) as caught:
        read(name, body)
    assert caught.value.may_be == may_be


@pytest.mark.parametrize(("action", "stored"), [("x" * 200, "x" * 100), ("op\u202een", "op\u202een"), ("", None)])
def test_an_action_is_stored_as_it_is_but_not_at_any_length(action: str, stored: str | None) -> None:
    trigger = read("issues.opened", edited("issues.opened", {"/action": action}))
    assert (trigger.action, trigger.name) == (stored, None)
    assert read("star.created", edited("star.created", {"/action": action})).action == stored


@pytest.mark.parametrize("body", [{}, {"action": "edited"}, {"action": "edited", "issue": 5, "sender": {"login": []}}])
def test_of_an_unnamed_event_nothing_is_required(body: object) -> None:
    trigger = read("issues", body)
    assert (trigger.event, trigger.name, trigger.thread) == ("issues", None, None)


@pytest.mark.parametrize("ref", ["-x", "a..b", "a b", "a\nb", "a:b", ""])
def test_a_branch_that_git_forbids_is_refused(ref: str) -> None:
    with pytest.raises(WrongShape, match=r"^\$\.pull_request\.base\.ref: expected a name that a branch can have$"):
        read("pull_request.opened", edited("pull_request.opened", {"/pull_request/base/ref": ref}))


def test_a_javascript_url_is_dropped() -> None:
    body = edited("issues.opened", {"/issue/html_url": "javascript:alert(1)"})
    thread = read("issues.opened", body).thread
    assert thread
    assert thread.url is None


@pytest.mark.parametrize(("given", "read_as"), [(7, "7"), (0, None), ("7", None), (True, None), (None, None)])
def test_the_id_of_a_comment_is_read_only_if_it_is_one(given: Any, read_as: str | None) -> None:
    assert read("issue_comment.created", edited("issue_comment.created", {"/comment/id": given})).comment_id == read_as
    assert read("issues.opened").comment_id is None
