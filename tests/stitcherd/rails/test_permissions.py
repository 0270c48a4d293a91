"""Groups by permission: what must be asked before a delivery can be decided, and what the answers decide."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shared.models import Check, CheckOutcome, Decision, Thread, Verdict
from stitcherd.policy import AccountAccess
from stitcherd.rails.decide import Evaluation, decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT, SMALL

Ask = Callable[..., Trigger]

RAILS = SMALL.replace(
    '  crew: {users: ["forge:ann"]}',
    '  crew: {permission: write, users: ["forge:cleo"]}\n'
    "  chiefs: {permission: admin}\n"
    '  guests: {users: ["forge:gus"]}',
).replace("from: [crew]", "from: [crew, guests]")
OUTSIDER_TEXT = """\
guards:
  - {id: outsider, if: {author_of: [issue], not_in: [crew]}, then: require-approval, by: [chiefs]}
"""
FROZEN = "  - {id: frozen, if: {labels_any: [freeze]}, then: deny}\n"
IDS = {"forge:ann": ("7",), "forge:eve": ("8",), "forge:cleo": ("9",), "forge:gus": ("10",)}
ASKED_AT = 1_000_000_000_123
SENTENCE = "permission_unknown: gitea answered 403: Only admins"


def level(name: str) -> AccountAccess:
    return AccountAccess(name, ASKED_AT)


def evaluated(
    trigger: Trigger, text: str = RAILS, access: Mapping[str, AccountAccess] | None = None, **more: Any
) -> Evaluation:
    usual = {"executors": {"smith": CAPABLE}, "cannot_ask": None, "access": access or {}}
    return decide(trigger, parse_rails(text, CONTEXT), RuntimeFacts(**usual | more))


def who(decision: Decision) -> Check:
    (check,) = (check for check in decision.checks if check.id == "who")
    return check


@pytest.fixture
def asked(comment: Ask) -> Ask:
    """A comment like `comment`, with the ids of all accounts."""
    return lambda **fields: comment(**{"account_ids": IDS} | fields)


def test_an_unknown_permission_must_be_asked(asked: Ask) -> None:
    evaluation = evaluated(asked())
    decision = evaluation.decision
    assert (decision.verdict, evaluation.asks, evaluation.job) == (Verdict.DECIDING, {"7": "forge:ann"}, None)
    assert decision.reason == "asking forge for the permission of forge:ann on acme/roof"
    check = who(decision)
    assert (check.outcome, check.seen, check.wanted) == (
        CheckOutcome.ASK,
        "forge:ann",
        "crew (permission write) or guests",
    )


@pytest.mark.parametrize(
    ("given", "verdict"),
    [("none", "denied"), ("read", "denied"), ("write", "allowed"), ("admin", "allowed")],
)
def test_each_level_includes_those_before_it(asked: Ask, given: str, verdict: str) -> None:
    decision = evaluated(asked(), access={"7": level(given)}).decision
    assert decision.verdict == verdict
    assert who(decision).seen == f"forge:ann#7 has {given} (asked 01:46:40.123Z)"


def test_the_checks_show_the_permission(asked: Ask) -> None:
    check = who(evaluated(asked(), access={"7": level("write")}).decision)
    assert (check.outcome, check.wanted, check.because) == (
        CheckOutcome.PASS,
        "crew (permission write)",
        "permission",
    )
    denied = evaluated(asked(), access={"7": level("read")}).decision
    assert denied.reason == "who: forge:ann is in none of crew, guests"
    assert who(denied).wanted == "crew (permission write) or guests"


def test_what_the_forge_did_not_tell_is_denied_with_its_sentence(asked: Ask) -> None:
    refused = AccountAccess(None, ASKED_AT, SENTENCE, "make the bot an administrator of the repository")
    decision = evaluated(asked(), access={"7": refused}).decision
    assert (decision.verdict, decision.reason) == (Verdict.DENIED, f"who: {SENTENCE}")
    assert decision.remedy
    assert decision.remedy.text == "make the bot an administrator of the repository"
    assert who(decision).because == SENTENCE


@pytest.mark.parametrize(
    "fields",
    [
        {"sender": "forge:cleo", "author": "forge:cleo", "thread": None, "quotes": ()},  # `users` make her a member
        {"sender": "forge:gus", "author": "forge:gus"},
        {"name": "issue.opened"},
        {"commands": (Command("raze", ""),)},
        {"author": "forge:eve"},  # she wrote the command that another account sent
        {"sender": None},
        {"account_ids": {}},
        {"account_ids": {"forge:ann": ("7", "8")}},
        {"source": "other"},
    ],
)
def test_nothing_is_asked_that_cannot_change_the_verdict(asked: Ask, fields: dict[str, Any]) -> None:
    evaluation = evaluated(asked(**fields))
    assert (evaluation.asks, evaluation.decision.verdict is Verdict.DECIDING) == ({}, False)


def test_nothing_is_asked_where_a_guard_or_a_requirement_denies_anyway(asked: Ask) -> None:
    frozen = evaluated(asked(labels=("freeze",)), RAILS + OUTSIDER_TEXT + FROZEN)
    assert (frozen.decision.verdict, frozen.asks) == (Verdict.DENIED, {})
    assert frozen.decision.reason.startswith("guard frozen")
    assert who(frozen.decision).outcome is CheckOutcome.SKIP
    nowhere = evaluated(asked(), repository="acme/roof has no entry")
    assert (nowhere.decision.verdict, nowhere.asks) == (Verdict.DENIED, {})
    assert nowhere.decision.reason.startswith("capability")


def test_nothing_is_asked_in_observe_mode(asked: Ask) -> None:
    evaluation = evaluated(asked(), f"mode: observe\n{RAILS}")
    assert (evaluation.decision.verdict, evaluation.asks) == (Verdict.IGNORED, {})
    assert "would have been deciding: asking forge" in evaluation.decision.reason


def test_a_source_that_cannot_be_asked_makes_nobody_a_member(asked: Ask) -> None:
    decision = evaluated(asked(), cannot_ask="source forge has no api").decision
    assert decision.verdict is Verdict.DENIED
    assert who(decision).because == "the permission of crew cannot be looked up: source forge has no api"
    without_id = evaluated(asked(account_ids={})).decision
    assert who(without_id).because == (
        "the permission of crew cannot be looked up: the delivery gives no id of forge:ann"
    )


def test_a_changed_account_has_no_permission(asked: Ask) -> None:
    trigger = asked(sender="forge:cleo", author="forge:cleo")
    decision = evaluated(trigger, access={"9": level("admin")}, account_ids={"forge:cleo": "1"}).decision
    assert decision.reason.startswith("who: account_changed:")


OF_EVE: dict[str, Any] = {
    "thread": Thread("issue", 7, author="forge:eve"),
    "quotes": (Quote("forge:eve", "body", "it leaks"),),
}


def test_the_authors_of_all_text_are_asked(asked: Ask) -> None:
    text = RAILS + OUTSIDER_TEXT
    assert evaluated(asked(**OF_EVE), text).asks == {"7": "forge:ann", "8": "forge:eve"}
    assert evaluated(asked(**OF_EVE), text, {"7": level("write")}).asks == {"8": "forge:eve"}
    assert evaluated(asked(**OF_EVE), text, {"8": level("write")}).asks == {"7": "forge:ann"}
    both = {"7": level("write"), "8": level("write")}
    assert evaluated(asked(**OF_EVE), text, both).decision.verdict is Verdict.ALLOWED


def test_an_outsiders_text_waits(asked: Ask) -> None:
    evaluation = evaluated(asked(**OF_EVE), RAILS + OUTSIDER_TEXT, {"7": level("write"), "8": level("read")})
    assert (evaluation.decision.verdict, evaluation.asks) == (Verdict.WAITING, {})
    assert evaluation.waits
    assert evaluation.waits.outsiders == ("forge:eve",)
    (check,) = (check for check in evaluation.decision.checks if check.id == "guard:outsider")
    assert check.seen == "forge:eve#8 has read (asked 01:46:40.123Z)"


def test_an_author_whom_the_forge_does_not_tell_is_an_outsider(asked: Ask) -> None:
    access = {"7": level("write"), "8": AccountAccess(None, ASKED_AT, SENTENCE)}
    evaluation = evaluated(asked(**OF_EVE), RAILS + OUTSIDER_TEXT, access)
    assert evaluation.decision.verdict is Verdict.WAITING


def test_an_undecided_guard_asks_only_if_its_other_conditions_hold(asked: Ask) -> None:
    guard = OUTSIDER_TEXT.replace("not_in: [crew]", "not_in: [crew], labels_any: [big]")
    known = {"7": level("write")}
    assert evaluated(asked(**OF_EVE), RAILS + guard, known).decision.verdict is Verdict.ALLOWED
    assert evaluated(asked(**OF_EVE, labels=("big",)), RAILS + guard, known).asks == {"8": "forge:eve"}
    allowing = OUTSIDER_TEXT.replace("require-approval, by: [chiefs]", "allow")
    assert evaluated(asked(**OF_EVE), RAILS + allowing, known).decision.verdict is Verdict.ALLOWED


def test_who_may_approve_depends_on_all_outsiders(asked: Ask) -> None:
    thread, quotes = (
        Thread("issue", 7, author=None),
        (*OF_EVE["quotes"], Quote(None, "title", "x")),
    )  # a deleted account
    trigger = asked(thread=thread, quotes=quotes)
    assert evaluated(trigger, RAILS + OUTSIDER_TEXT, {"7": level("write")}).asks == {"8": "forge:eve"}
    denying = OUTSIDER_TEXT.replace("require-approval, by: [chiefs]", "deny")
    assert evaluated(trigger, RAILS + denying, {"7": level("write")}).asks == {}


def test_a_permission_that_nothing_can_answer_is_a_warning_of_the_pair() -> None:
    def warned(**more: Any) -> list[tuple[int, str]]:
        found = parse_rails(RAILS, CONTEXT._replace(**more)).warnings
        return [(each.line, each.message) for each in found if "permission" in each.message]

    assert warned(asked=("forge",)) == []
    asking = "no source has an api and a token to ask for this permission"
    assert warned() == [
        (3, f"{asking}: crew has only its users and sources"),
        (4, f"{asking}: chiefs has no members"),
    ]
