"""Parsing and verification of GitHub webhooks."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from shared.models import Thread
from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import CORPUS, SECRET, corpus

GITHUB = SOURCES["github"]
DELIVERIES = payloads.DELIVERIES / "github"
delivery = partial(payloads.delivery, "github")
edited = partial(payloads.edited, "github")


def read(name: str, body: Any = None, bot: str | None = "mosaic") -> Trigger:
    headers = CIMultiDict({"x-github-event": name.partition(".")[0]})
    return GITHUB.parse(headers, json.dumps(body or delivery(name)).encode(), source="work", bot=bot)


NAMES = {
    "issues.opened": "issue.opened",
    "issues.assigned": "issue.assigned",
    "issues.labeled": "issue.labeled",
    "issue_comment.created": "issue.comment",
    "issue_comment.created_on_pull": "change.comment",
    "issue_comment.edited": None,
    "pull_request.opened": "change.opened",
    "pull_request.opened_from_fork": "change.opened",
    "pull_request.synchronize": "change.updated",
    "pull_request.labeled": "change.labeled",
    "pull_request.review_requested": "change.review_requested",
    "pull_request_review.submitted": "change.review",
    "pull_request_review_comment.created": "change.review_comment",
    "push.branch": "push",
    "check_run.completed": "check.completed",
    "status.failure": "check.completed",
    "ping.repository": None,
    "star.created": None,
}


def test_each_event_gets_its_name() -> None:
    assert {path.stem: read(path.stem).name for path in DELIVERIES.glob("*.json")} == NAMES


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
        labels=("ready",),
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


def test_reviews_and_their_comments_may_hold_commands() -> None:
    assert read("pull_request_review.submitted").commands == (Command("review", "again"),)
    assert read("pull_request_review_comment.created").commands == (Command("fix", "this line"),)


@pytest.mark.parametrize(
    ("name", "edits"),
    [
        ("issue_comment.edited", {}),
        ("issue_comment.created", {"/action": "deleted"}),
        ("issues.opened", {"/issue/body": "@mosaic fix"}),
        ("pull_request.opened", {"/pull_request/body": "@mosaic fix"}),
        ("issues.labeled", {"/issue/body": "@mosaic fix"}),
    ],
)
def test_other_events_hold_no_commands(name: str, edits: Mapping[str, Any]) -> None:
    assert read(name, edited(name, edits)).commands == ()


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


def test_an_app_is_mentioned_without_its_suffix() -> None:
    assert read("issue_comment.created", bot="mosaic[bot]").commands == (Command("fix", "the last row"),)
    own = edited("issue_comment.created", {"/comment/user/login": "mosaic"})
    assert read("issue_comment.created", own, bot="mosaic[bot]").unusable


def test_a_ping_is_unusable_and_an_unknown_event_has_no_name() -> None:
    assert read("ping.repository").unusable == "ping"
    trigger = read("star.created")
    assert (trigger.event, trigger.action, trigger.name, trigger.unusable) == ("star", "created", None, None)
    assert (trigger.sender, trigger.repository) == ("work:octocat", "octo-org/api")
    assert read("brand_new_event", {"action": "x", "issue": "not an object"}).name is None


def test_a_pending_status_has_no_name() -> None:
    assert read("status.failure", edited("status.failure", {"/state": "pending"})).name is None


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
        ({"/repository/full_name": "../etc"}, "$.repository.full_name: expected `str` matching regex"),
        ({"/sender/login": "a\u200bb"}, "$.sender.login: expected `str` matching regex"),
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
        "a/-b",
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


@pytest.mark.parametrize("ref", ["-x", "a..b", "a b", "a\nb", "a:b", ""])
def test_a_branch_that_git_forbids_is_refused(ref: str) -> None:
    with pytest.raises(WrongShape):
        read("pull_request.opened", edited("pull_request.opened", {"/pull_request/base/ref": ref}))


@pytest.mark.parametrize("event", [None, "", "Issues", "is sues", "issues\udcff", "x" * 200])
def test_the_event_header_must_be_a_name(event: str | None) -> None:
    headers = CIMultiDict({} if event is None else {"X-GitHub-Event": event})
    with pytest.raises(WrongShape, match="X-GitHub-Event"):
        GITHUB.parse(headers, b"{}", source="work", bot="mosaic")


def test_a_form_is_parsed_from_its_payload_and_signed_as_a_whole() -> None:
    text = json.dumps(delivery("issue_comment.created"))
    form = urlencode({"payload": text}).encode()
    headers = CIMultiDict({"X-GitHub-Event": "issue_comment"})
    assert GITHUB.parse(headers, form, source="work", bot="mosaic", form=True) == read("issue_comment.created")
    for bad in (b"", b"x=1", b"payload=%7B%7D&payload=%7B%7D"):
        with pytest.raises(WrongShape, match="payload"):
            GITHUB.parse(headers, bad, source="work", bot="mosaic", form=True)
    with pytest.raises(NotJson):
        GITHUB.parse(headers, b"payload=%7B", source="work", bot="mosaic", form=True)


def test_a_javascript_url_is_dropped() -> None:
    body = edited("issues.opened", {"/issue/html_url": "javascript:alert(1)"})
    thread = read("issues.opened", body).thread
    assert thread
    assert thread.url is None


def test_the_published_vector() -> None:
    right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = CIMultiDict({"X-Hub-Signature-256": right})
    assert GITHUB.verify(headers, b"Hello, World!", [b"other", SECRET]) == 2
    with pytest.raises(BadSignature, match=r"^X-Hub-Signature-256 matches no secret$"):
        GITHUB.verify(headers, b"Hello, World?", [SECRET])


def test_the_sha1_signature_alone_is_not_enough() -> None:
    with pytest.raises(BadSignature, match=r"^X-Hub-Signature-256 is missing$"):
        GITHUB.verify(CIMultiDict({"X-Hub-Signature": "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59"}), b"", [SECRET])


@corpus
def test_real_deliveries() -> None:
    paths = [path for path in (CORPUS / "github").glob("*.json") if not path.name.endswith(".headers.json")]
    assert len(paths) >= 28
    for path in paths:
        headers, body = payloads.real_delivery(path)
        assert GITHUB.verify(headers, body, [b"old", SECRET]) == 2
        trigger = GITHUB.parse(headers, body, source="github", bot="mosaic")
        event, action = path.stem.split(".")[:2]
        named = NAMES.get(f"{event}.{action}", "check.completed" if event != "installation" else None)
        expected = None if action in {"edited", "deleted", "transferred", "unassigned", "rerequested"} else named
        if event == "pull_request" and f"{event}.{action}" not in NAMES:
            expected = None
        assert trigger.name == (("push" if event == "push" else expected) if event != "ping" else None), path.name
        assert trigger.event == event
        assert GITHUB.external_id(headers) == headers["X-GitHub-Delivery"]


CASES: Mapping[str, Callable[[Trigger], object]] = {
    "mention-plain": lambda trigger: trigger.commands == (Command("fix", "please"),),
    "mention-quoted": lambda trigger: not trigger.commands,
    "mention-inline-code": lambda trigger: not trigger.commands,
    "mention-midline": lambda trigger: not trigger.commands,
    "mention-case": lambda trigger: trigger.commands == (Command("fix", ""),),
    "mention-email": lambda trigger: not trigger.commands,
    "mention-unknown-command": lambda trigger: trigger.commands == (Command("fxi", ""),),
    "self-comment": lambda trigger: trigger.unusable,
    "bot-sender": lambda trigger: trigger.sender == "github:renovate[bot]" and not trigger.unusable,
    "assoc-lies-owner": lambda trigger: trigger.commands and trigger.author == "github:Codertocat",
    "unknown-event": lambda trigger: trigger.name is None,
    "fork-pr": lambda trigger: trigger.from_fork is True,
    "nasty-branch": lambda trigger: trigger.name == "change.opened" and trigger.ref == "master",
}


@corpus
@pytest.mark.parametrize("case", CASES)
def test_the_hostile_cases(case: str) -> None:
    headers, body = payloads.hostile_case(case)
    assert CASES[case](GITHUB.parse(headers, body, source="github", bot="mosaic"))
