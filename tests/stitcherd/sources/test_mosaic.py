"""Parsing of Mosaic webhooks."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.models import Thread
from stitcherd.sources import SOURCES, WrongShape
from stitcherd.sources.trigger import Command, Quote, Trigger

MOSAIC = SOURCES["mosaic"]
DELIVERIES = Path(__file__).parents[2] / "deliveries" / "mosaic"


def delivery(name: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((DELIVERIES / f"{name}.json").read_text())
    return body


def read(body: dict[str, Any], bot: str | None = "mosaic") -> Trigger:
    return MOSAIC.parse({}, json.dumps(body).encode(), source="hooks", bot=bot)


def test_an_assignment_is_to_the_bot() -> None:
    title = "Pagination drops the last row"
    url = "https://git.example.com/octo-org/api/issues/479"
    assert read(delivery("assigned")) == Trigger(
        source="hooks",
        event="mosaic",
        action="assigned",
        name="issue.assigned",
        sender="hooks:alice",
        author="hooks:alice",
        repository="octo-org/api",
        thread=Thread("issue", 479, title, url, "hooks:alice"),
        labels=("ready",),
        assignees=("hooks:mosaic",),
        quotes=(Quote("hooks:alice", "title", title),),
    )


def test_without_an_author_the_source_is_the_sender() -> None:
    trigger = read(delivery("mentioned"))
    assert (trigger.name, trigger.commands) == ("issue.comment", (Command("fix", "the last row"),))
    assert (trigger.by_source, trigger.sender, trigger.author) == (True, "hooks", "hooks")
    assert trigger.labels == ()
    assert trigger.unusable is None


def test_a_source_named_like_the_bot_is_not_the_bot() -> None:
    body = json.dumps(delivery("mentioned")).encode()
    assert MOSAIC.parse({}, body, source="mosaic", bot="mosaic").unusable is None


def test_an_author_keeps_its_source() -> None:
    trigger = read(delivery("commented"))
    assert (trigger.by_source, trigger.sender, trigger.author) == (False, "github:octocat", "github:octocat")
    assert (trigger.name, trigger.commands) == ("issue.comment", ())


@pytest.mark.parametrize("author", ["mosaic", "github:Mosaic", "gitea:mosaic[bot]"])
def test_text_by_the_bot_is_unusable(author: str) -> None:
    assert read({**delivery("mentioned"), "metadata": {"author": author}}).unusable == "written by mosaic itself"


def test_an_unknown_action_has_no_name() -> None:
    trigger = read({**delivery("closed"), "comment": "@mosaic fix"})
    assert (trigger.name, trigger.action, trigger.commands, trigger.unusable) == (None, "closed", (), None)


def test_a_comment_on_assignment_holds_no_command() -> None:
    trigger = read({**delivery("assigned"), "comment": "@mosaic fix"})
    assert trigger.commands == ()
    assert trigger.quotes[-1] == Quote("hooks:alice", "comment", "@mosaic fix")


@pytest.mark.parametrize(("number", "thread"), [("007", 7), (12, 12), (str(2**63 - 1), 2**63 - 1)])
def test_the_number_is_made_of_digits(number: object, thread: int) -> None:
    parsed = read({**delivery("closed"), "issueNumber": number}).thread
    assert parsed
    assert parsed.number == thread


def test_unknown_metadata_is_ignored() -> None:
    metadata = {"labels": None, "author": None, "title": 5, "url": "file:///etc/passwd", "mood": {"a": [1]}}
    trigger = read({**delivery("mentioned"), "metadata": metadata})
    assert trigger.thread == Thread("issue", 479, "", None, "hooks")


@pytest.mark.parametrize(
    "edits",
    [
        {"issueNumber": "0"},
        {"issueNumber": ""},
        {"issueNumber": "\u0661"},
        {"issueNumber": "4 "},
        {"issueNumber": str(2**63)},
        {"issueNumber": True},
        {"issueNumber": None},
        {"repository": "api"},
        {"repository": None},
        {"action": None},
        {"comment": 5},
        {"metadata": []},
        {"metadata": {"labels": "ready"}},
        {"metadata": {"labels": [1]}},
        {"metadata": {"author": ""}},
        {"metadata": {"author": 5}},
        {"metadata": {"author": "a:b:c"}},
        {"metadata": {"author": "two words"}},
    ],
)
def test_a_malformed_field_is_named(edits: dict[str, Any]) -> None:
    with pytest.raises(WrongShape, match=r"^\$\."):
        read({**delivery("mentioned"), **edits})
