"""Verification and parsing of GitLab webhooks."""

import base64
import hmac
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest
from multidict import CIMultiDict

from shared.models import Thread
from stitcherd.sources import SOURCES, BadSignature, WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.sources import payloads
from tests.stitcherd.sources.payloads import CORPUS, SECRET, corpus

GITLAB = SOURCES["gitlab"]
DELIVERIES = payloads.DELIVERIES / "gitlab"
delivery = partial(payloads.delivery, "gitlab")
edited = partial(payloads.edited, "gitlab")
NOW = 1_764_000_000_000
SHA = "ec26c3e57ca3a959ca5aad62de7213c562f8c821"


def read(name: str, body: Any = None, bot: str | None = "mosaic", hook: str = "Some Hook") -> Trigger:
    headers = CIMultiDict({"x-gitlab-event": hook})
    return GITLAB.parse(headers, json.dumps(delivery(name) if body is None else body).encode(), source="lab", bot=bot)


def test_all_fields_of_a_note() -> None:
    title, body = "Pagination drops the last row", "Ask for page 2 of 21 rows: one is missing."
    expected = Trigger(
        source="lab",
        event="note",
        action="create",
        name="issue.comment",
        sender="lab:hubot",
        author="lab:hubot",
        account_ids={"lab:hubot": ("4",), "lab:#3": ("3",)},
        repository="octo-org/api",
        thread=Thread("issue", 479, title, "https://gitlab.example.com/octo-org/api/-/issues/479", "lab:#3"),
        comment_id="1700",
        subject="comment:1700",
        labels=("ready",),
        closed=False,
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
    trigger = read("note.issue", edited("note.issue", edits))
    assert trigger.thread
    assert trigger.thread.author == trigger.quotes[0].author == author


def test_a_note_without_an_author_has_none() -> None:
    trigger = read("note.issue", edited("note.issue", {"/object_attributes/author_id": None}))
    assert (trigger.sender, trigger.author) == ("lab:hubot", None)


def test_the_ids_are_those_of_the_sender_and_the_authors() -> None:
    edits = {"/issue/author_id": 3, "/assignees": [{"id": 3, "username": "octocat"}, {"id": 9, "username": "eve"}]}
    assert read("note.issue", edited("note.issue", edits)).account_ids == {"lab:hubot": ("4",), "lab:octocat": ("3",)}
    assert read("note.issue", edited("note.issue", {"/user/username": "ghost"})).account_ids == {"lab:#3": ("3",)}
    both = read("note.issue", edited("note.issue", {"/assignees": [{"id": 9, "username": "hubot"}]}))
    assert both.account_ids == {"lab:hubot": ("4", "9"), "lab:#3": ("3",)}


def test_the_author_of_a_note_need_not_be_its_sender() -> None:
    trigger = read("note.issue", edited("note.issue", {"/object_attributes/author_id": 7}))
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
    trigger = read("note.issue", edited("note.issue", edits))
    assert (trigger.name == "issue.comment") is new
    assert bool(trigger.commands) is new
    assert trigger.unusable is None


@pytest.mark.parametrize("name", ["issue.open", "merge_request.open", "issue.update_labels"])
def test_other_events_hold_no_commands(name: str) -> None:
    body = edited(name, {"/object_attributes/description": "@mosaic fix", "/object_attributes/note": "@mosaic fix"})
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
    trigger = read(name, edited(name, edits), hook=hook)
    assert trigger.unusable
    assert trigger.unusable.startswith("confidential: ")
    assert (trigger.name, trigger.thread, trigger.labels, trigger.commands, trigger.quotes) == (None, None, (), (), ())
    assert trigger.repository == "octo-org/api"


@pytest.mark.parametrize("name", ["merge_request.open", "note.merge_request", "note.diff"])
def test_source_and_target_of_a_change(name: str) -> None:
    trigger = read(name)
    assert trigger.thread
    assert (trigger.thread.kind, trigger.thread.number, trigger.thread.title) == ("change", 480, "Keep the last row")
    assert (trigger.from_fork, trigger.ref, trigger.head_sha) == (False, "main", SHA)


@pytest.mark.parametrize(("project", "fork"), [(11, False), (12, True), (None, True)])
def test_a_fork_is_another_project(project: int | None, fork: bool) -> None:
    edits = {"/object_attributes/source_project_id": project}
    assert read("merge_request.open", edited("merge_request.open", edits)).from_fork is fork
    edits = {"/merge_request/source_project_id": project}
    assert read("note.merge_request", edited("note.merge_request", edits)).from_fork is fork
    neither = {"/object_attributes/source_project_id": None, "/object_attributes/target_project_id": None}
    assert read("merge_request.open", edited("merge_request.open", neither)).from_fork is True
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
    body = edited(name, edits)
    assert read(name, body).unusable == ("written by mosaic itself" if refused else None)
    assert read(name, body, bot=None).unusable is None


@pytest.mark.parametrize("hook", ["", "x" * 200, "Note\nHook", "\udcff"])
def test_the_event_header_is_required_because_old_versions_mark_confidential_events_only_there(hook: str) -> None:
    with pytest.raises(WrongShape, match="X-Gitlab-Event"):
        read("note.issue", hook=hook)


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


@corpus
@pytest.mark.parametrize("name", REAL)
def test_real_deliveries(name: str) -> None:
    headers, body = payloads.real_delivery(CORPUS / "gitlab" / f"{name}.json")
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
    headers, body = payloads.hostile_case("mention-gitlab")
    trigger = GITLAB.parse(headers, body, source="gitlab", bot="mosaic")
    assert trigger.commands == (Command("fix", "please"),)


def signed(body: bytes, more: Mapping[str, str], key: bytes = SECRET) -> CIMultiDict[str]:
    proof = hmac.new(key, b"id-1.1764000000." + body, "sha256").digest()
    signature = f"v1,{base64.b64encode(proof).decode()}"
    three = {"webhook-id": "id-1", "webhook-timestamp": "1764000000", "webhook-signature": signature}
    return CIMultiDict({**three, **more})


def test_a_token_is_compared_as_bytes() -> None:
    secret = "zwölf\udcff".encode(errors="surrogateescape")
    headers = CIMultiDict({"X-Gitlab-Token": secret.decode(errors="surrogateescape")})
    assert GITLAB.verify(headers, b"", [b"old", secret]) == 2
    for claim in ("", "zw", "zwölf", "zwölf?", "\ud800", "It's a Secret to Everybody "):
        with pytest.raises(BadSignature, match=r"^X-Gitlab-Token matches no secret$"):
            GITLAB.verify(CIMultiDict({"X-Gitlab-Token": claim}), b"", [secret, SECRET, b""])


def test_a_signing_token_is_a_base64_key() -> None:
    secret = b"whsec_" + base64.b64encode(b"k" * 32)
    assert GITLAB.verify(signed(b"{}", {}, b"k" * 32), b"{}", [SECRET, secret], NOW) == 2


def test_with_a_signature_the_token_is_ignored() -> None:
    token = {"X-Gitlab-Token": SECRET.decode()}
    assert GITLAB.verify(signed(b"{}", token), b"{}", [SECRET], NOW) == 1
    for body, now in ((b"{ }", NOW), (b"{}", NOW + 300_001)):
        with pytest.raises(BadSignature, match=r"^webhook-"):
            GITLAB.verify(signed(b"{}", token), body, [SECRET], now)
    for claim in ("", "v1,", "v1a,x"):
        with pytest.raises(BadSignature, match=r"^webhook-signature matches no secret$"):
            GITLAB.verify(signed(b"{}", {**token, "webhook-signature": claim}), b"{}", [SECRET], NOW)


def test_a_delivery_keeps_its_id_when_repeated() -> None:
    assert GITLAB.external_id(CIMultiDict({"Idempotency-Key": "k", "webhook-id": "w"})) == "k"
    assert GITLAB.external_id(CIMultiDict({"Idempotency-Key": "", "webhook-id": "w"})) == "w"
    assert GITLAB.external_id(CIMultiDict({"X-Gitlab-Event-UUID": "u"})) is None  # hooks of hooks share it
    assert (GITLAB.id_is_signed, GITLAB.body_window) == (False, None)
