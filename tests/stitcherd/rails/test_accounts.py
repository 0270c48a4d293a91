"""Accounts with ids: a login that passed to another account has no rights."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from multidict import CIMultiDict

from shared.models import Check, Thread, Verdict
from stitcherd.policy import AccountSighting
from stitcherd.rails.accounts import sightings
from stitcherd.rails.decide import decide
from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Quote, Trigger
from tests.stitcherd.sources.payloads import edited

Ask = Callable[..., Trigger]
TEXT = """\
version: 1
people:
  crew: {users: ["forge:ann", "forge:bob#7"]}
  chiefs: {users: ["forge:Bob"]}
profiles:
  careful: {capabilities: [repo:write], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment], command: mend, from: [chiefs, crew], job: mend}
guards:
  - {id: stranger, if: {author_of: [issue], not_in: [crew]}, then: deny}
"""
BOOK = parse_rails(TEXT)
KEPT = "account_changed: forge:ann has the id 2, and 1 is kept for this login"
BOUND = "account_changed: forge:bob has the id 8, and the rails name forge:bob#7"
MISSING = "account_changed: the rails name forge:bob#7, and the delivery gives no id of forge:bob"
ACCEPT = "run stitcher accounts accept forge:ann#2 if it is the same person"


@pytest.mark.parametrize(
    ("users", "column"),
    [('"forge:bob#8"]', 20), ('"forge:ann#1", "forge:Bob#8"]', 35)],
)
def test_a_login_with_two_ids_is_an_error_with_both_lines(users: str, column: int) -> None:
    text = TEXT.replace('"forge:Bob"]', users)
    with pytest.raises(RailsError) as caught:
        parse_rails(text)
    assert (caught.value.line, caught.value.column) == (4, column)
    assert "forge:bob#7 on line 3" in str(caught.value)
    assert parse_rails(TEXT.replace('"forge:Bob"]', '"forge:Bob#7"]')).accounts["forge:bob"].id == "7"


@pytest.fixture
def ask(comment: Ask) -> Ask:
    def make(account: str = "forge:ann", **fields: Any) -> Trigger:
        usual = {"thread": Thread("issue", 7, author=account), "quotes": (Quote(account, "body", "it leaks"),)}
        return comment(sender=account, **(usual | fields))

    return make


def check(trigger: Trigger, facts: RuntimeFacts, kind: str, **kept: str) -> tuple[Any, Check]:
    ids = {account.replace("_", ":"): number for account, number in kept.items()}
    decision = decide(trigger, BOOK, replace(facts, account_ids=ids)).decision
    return decision, next(each for each in decision.checks if each.kind == kind)


@pytest.mark.parametrize(
    ("account", "ids", "reason", "remedy"),
    [
        ("forge:ann", {}, None, None),
        ("forge:ann", {"forge:ann": ("1",)}, None, None),
        ("Forge:ANN", {"forge:ann": ("1",)}, None, None),
        ("forge:ann", {"forge:ann": ("2",)}, KEPT, ACCEPT),
        ("Forge:ANN", {"forge:ann": ("2",)}, KEPT, ACCEPT),
        (
            "forge:ann",
            {"forge:ann": ("1", "2")},
            "account_changed: several accounts have the login forge:ann",
            None,
        ),
        ("forge:bob", {"forge:bob": ("7",)}, None, None),
        ("forge:bob", {"forge:bob": ("8",)}, BOUND, "write forge:bob#8 if it is the same person"),
        ("forge:bob", {}, MISSING, "write forge:bob without an id"),
    ],
)
def test_the_sender_is_the_account_that_the_rails_mean(
    ask: Ask, facts: RuntimeFacts, account: str, ids: dict[str, Any], reason: str | None, remedy: str | None
) -> None:
    decision, who = check(ask(account, account_ids=ids), facts, "who", forge_ann="1", forge_bob="8")
    assert decision.verdict is (Verdict.DENIED if reason else Verdict.ALLOWED)
    assert who.because == (reason or "users")
    assert decision.reason == (f"who: {reason}" if reason else "trigger word")
    assert (decision.remedy.text if decision.remedy else None) == remedy
    if reason:
        assert who.seen == (f"{account.lower()}#{' and #'.join(ids[account.lower()])}" if ids else account)


def test_the_author_of_a_text_is_an_outsider_if_the_account_changed(ask: Ask, facts: RuntimeFacts) -> None:
    trigger = ask(
        "forge:bob",
        thread=Thread("issue", 7, author="forge:ann"),
        account_ids={"forge:bob": ("7",), "forge:ann": ("2",)},
    )
    decision, _ = check(trigger, facts, "guard", forge_ann="1")
    guard = next(each for each in decision.checks if each.id == "guard:stranger")
    assert decision.verdict is Verdict.DENIED
    assert guard.seen == f"forge:ann#2 ({KEPT})"
    assert decision.remedy.text == ACCEPT
    assert check(trigger, facts, "guard", forge_ann="2")[0].verdict is Verdict.ALLOWED


def test_a_stranger_is_a_stranger_whatever_the_id(ask: Ask, facts: RuntimeFacts) -> None:
    decision, _ = check(ask("forge:eve", account_ids={"forge:eve": ("2",)}), facts, "who", forge_eve="1")
    assert decision.reason == "who: forge:eve is in none of chiefs, crew"


def test_only_accounts_that_the_rails_name_without_an_id_are_kept(ask: Ask) -> None:
    ids = {"forge:ann": ("1",), "forge:bob": ("7",), "forge:eve": ("3",)}
    trigger = ask(account_ids=ids)
    assert sightings(trigger, BOOK.accounts, {}) == (AccountSighting("forge:ann", "1", None),)
    assert sightings(trigger, BOOK.accounts, {"forge:ann": "1"}) == (AccountSighting("forge:ann", "1", "1"),)
    assert sightings(trigger, BOOK.accounts, {"forge:ann": "9"}) == (AccountSighting("forge:ann", "1", "9"),)
    several = ask(account_ids={"forge:ann": ("1", "2")})
    assert sightings(several, BOOK.accounts, {}) == ()
    assert sightings(several, BOOK.accounts, {"forge:ann": "1"}) == (AccountSighting("forge:ann", "2", "1"),)


@pytest.mark.parametrize("user", ["forge:#7", "forge:ann#", "forge:ann#x", "forge:ann#0", "forge:ann#1#2"])
def test_an_id_follows_a_login_and_is_a_number(user: str) -> None:
    with pytest.raises(RailsError, match="is not an account"):
        parse_rails(TEXT.replace("forge:ann", user))


@pytest.mark.parametrize(
    ("kind", "header", "event", "name", "sender", "author"),
    [
        ("github", "X-GitHub-Event", "issue_comment", "issue_comment.created", "/sender", "/comment/user"),
        ("gitea", "X-Gitea-Event", "issue_comment", "issue_comment.created", "/sender", "/comment/user"),
        ("gitlab", "X-Gitlab-Event", "Note Hook", "note.issue", "/user", "/object_attributes/author_id"),
    ],
)
def test_a_deleted_account_is_denied_whatever_the_forge(
    facts: RuntimeFacts, kind: str, header: str, event: str, name: str, sender: str, author: str
) -> None:
    book = parse_rails(TEXT.replace("forge:ann", "forge:hubot").replace("command: mend", "command: fix"))
    for deleted in (sender, author):
        body = json.dumps(edited(kind, name, {deleted: None})).encode()
        trigger = SOURCES[kind].parse(CIMultiDict({header: event}), body, source="forge", bot="mosaic")
        decision = decide(trigger, book, facts).decision
        assert decision.reason == "who: the account that sent this, or wrote its text, is missing (deleted)"
