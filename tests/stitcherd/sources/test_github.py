"""GitHub webhooks: the names of events, commands, forms and signatures."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict

from stitcherd.sources import SOURCES, BadSignature, NotJson, WrongShape
from stitcherd.sources.trigger import Command, Trigger
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import CORPUS, SECRET, corpus
from tests.stitcherd.sources.payloads import read_github as read

GITHUB = SOURCES["github"]
DELIVERIES = payloads.DELIVERIES / "github"
delivery = partial(payloads.delivery, "github")
edited = partial(payloads.edited, "github")


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


@pytest.mark.parametrize("event", [None, ""])
def test_without_an_event_header_any_event_is_possible(event: str | None) -> None:
    headers = CIMultiDict({} if event is None else {"X-GitHub-Event": event})
    with pytest.raises(WrongShape, match=r"^X-GitHub-Event: missing$") as caught:
        GITHUB.parse(headers, b"{}", source="work", bot="mosaic")
    assert caught.value.trigger == Trigger(source="work", event="unknown")
    assert {"issue.comment", "push", "check.completed"} <= set(caught.value.may_be)


@pytest.mark.parametrize(
    ("event", "stored"),
    [
        ("Issues", "Issues"),
        ("is sues", "is sues"),
        ("secret-scanning_2", "secret-scanning_2"),
        ("issues\udcff", "issues?"),
        ("../../x\x1b[2J", "../../x?[2J"),
        ("x" * 200, "x" * 100),
    ],
)
def test_an_event_of_any_other_name_is_unnamed(event: str, stored: str) -> None:
    body = json.dumps(delivery("issues.opened")).encode()
    trigger = GITHUB.parse(CIMultiDict({"X-GitHub-Event": event}), body, source="work", bot="mosaic")
    assert (trigger.event, trigger.name, trigger.repository) == (stored, None, "octo-org/api")


def test_a_form_is_parsed_from_its_payload_and_signed_as_a_whole() -> None:
    text = json.dumps(delivery("issue_comment.created"))
    form = urlencode({"payload": text}).encode()
    headers = CIMultiDict({"X-GitHub-Event": "issue_comment"})
    assert GITHUB.parse(headers, form, source="work", bot="mosaic", form=True) == read("issue_comment.created")
    for bad in (b"", b"x=1", b"payload=%7B%7D&payload=%7B%7D"):
        with pytest.raises(WrongShape, match=r"^\$: payload: expected once in the form, found \d times$"):
            GITHUB.parse(headers, bad, source="work", bot="mosaic", form=True)
        unwanted = CIMultiDict({"X-GitHub-Event": "star"})
        assert GITHUB.parse(unwanted, bad, source="work", bot="mosaic", form=True).event == "star"
    with pytest.raises(NotJson):
        GITHUB.parse(headers, b"payload=%7B", source="work", bot="mosaic", form=True)


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
            expected = "change.opened" if action == "ready_for_review" else None
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
