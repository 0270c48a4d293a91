"""An account counts as a member only in deliveries of its own source."""

import json
from collections.abc import Callable

import pytest

from shared.models import CheckOutcome, Thread, Verdict
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources import SOURCES
from stitcherd.sources.trigger import Quote, Trigger
from tests.stitcherd.rails.contexts import CONTEXT

Ask = Callable[..., Trigger]


def test_a_mosaic_body_cannot_impersonate_an_account_of_another_source(small: str, facts: RuntimeFacts) -> None:
    def said(author: str, source: str) -> Verdict:
        body = {
            "issueNumber": "7",
            "repository": "acme/roof",
            "action": "mentioned",
            "comment": "@mosaic mend the roof",
            "metadata": {"author": author},
        }
        trigger = SOURCES["mosaic"].parse({}, json.dumps(body).encode(), source=source, bot="mosaic")
        return decide(trigger, parse_rails(small, CONTEXT), facts).decision.verdict

    assert said("forge:ann", "house") is Verdict.DENIED
    assert said("ann", "house") is Verdict.DENIED
    assert said("forge:ann", "forge") is Verdict.ALLOWED
    assert said("ann", "forge") is Verdict.ALLOWED


@pytest.mark.parametrize("source", ["house", "forge2", "forg", "ann", "forge:ann", ""])
def test_the_decision_says_which_source_cannot_act_for_whom(
    small: str, facts: RuntimeFacts, comment: Ask, source: str
) -> None:
    decision = decide(comment(source=source), parse_rails(small, CONTEXT), facts).decision
    assert decision.verdict is Verdict.DENIED
    assert decision.reason == f"who: source {source} cannot act for forge:ann"
    (check,) = (check for check in decision.checks if check.id == "who")
    assert (check.outcome, check.because) == (CheckOutcome.FAIL, f"source {source} cannot act for forge:ann")
    assert decision.remedy
    assert decision.remedy.text == "let source forge send what forge:ann wrote"
    mended = decide(comment(source="forge"), parse_rails(small, CONTEXT), facts).decision
    assert mended.verdict is Verdict.ALLOWED


def test_a_command_counts_only_from_the_author_of_its_text(small: str, facts: RuntimeFacts, comment: Ask) -> None:
    rails = parse_rails(small.replace('["forge:ann"]', '["forge:ann", "forge:bob"]'), CONTEXT)
    assert decide(comment(author="Forge:Ann"), rails, facts).decision.verdict is Verdict.ALLOWED
    decision = decide(comment(author="forge:bob"), rails, facts).decision  # a member too, but not the sender
    assert (decision.verdict, decision.reason) == (
        Verdict.DENIED,
        "who: forge:bob wrote the command that forge:ann sent",
    )
    (check,) = (check for check in decision.checks if check.id == "who")
    assert (check.outcome, check.seen, check.because) == (
        CheckOutcome.FAIL,
        "forge:ann",
        "forge:bob wrote the command",
    )


def test_quoted_text_cannot_impersonate_a_member(small: str, facts: RuntimeFacts, comment: Ask) -> None:
    guard = """\
guards:
  - {id: stranger, if: {author_of: [issue], not_in: [crew]}, then: deny, because: "written by a stranger"}
"""
    rails = parse_rails(small.replace('["forge:ann"]', '["forge:ann", "house:bob"]') + guard, CONTEXT)
    mine = {"source": "house", "sender": "house:bob", "author": "house:bob"}
    theirs = comment(**mine, thread=Thread("issue", 7, author="house:bob"), quotes=(Quote("forge:ann", "body", "x"),))
    decision = decide(theirs, rails, facts).decision
    assert (decision.verdict, decision.reason) == (Verdict.DENIED, "guard stranger: written by a stranger")
    own = comment(**mine, thread=Thread("issue", 7, author="house:bob"), quotes=(Quote("house:bob", "body", "x"),))
    assert decide(own, rails, facts).decision.verdict is Verdict.ALLOWED


def test_a_source_that_acts_for_itself_is_a_member_by_its_name(small: str, facts: RuntimeFacts, comment: Ask) -> None:
    rails = parse_rails(small.replace('users: ["forge:ann"]', "sources: [house]"), CONTEXT)
    itself = comment(source="house", sender="house", author="house", by_source=True, thread=None, quotes=())
    assert decide(itself, rails, facts).decision.verdict is Verdict.ALLOWED
