"""What was hidden in the texts of a thread is shown in a decision, and a guard may deny it or require an approval."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.models import Check, CheckOutcome, Verdict
from stitcherd.rails.decide import DispatchRequest, decide, decide_dispatch
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CONTEXT

Ask = Callable[..., Trigger]
HIDDEN = ("HTML comment in the body", "bidi controls in the comment")
SEEN = ", ".join(HIDDEN)
GUARD = "guards: [{{id: hidden, if: {{hidden_text: true}}, then: {}, because: nobody sees it}}]"


def shown(trigger: Trigger, text: str, facts: RuntimeFacts) -> list[Check]:
    decision = decide(trigger, parse_rails(text, CONTEXT), facts).decision
    return [check for check in decision.checks if check.id == "hidden"]


@pytest.mark.parametrize(
    ("fields", "outcome", "seen"),
    [
        ({}, "pass", "no hidden text"),
        ({"hidden": HIDDEN}, "pass", SEEN),
        ({"hidden": HIDDEN, "quotes": ()}, "pass", SEEN),
        ({"hidden": HIDDEN, "sender": "forge:eve"}, "unreached", None),
        ({"hidden": HIDDEN, "commands": ()}, "unreached", None),
        ({"quotes": ()}, None, None),
    ],
)
def test_each_decision_on_a_text_shows_what_was_hidden_in_it(
    facts: RuntimeFacts, comment: Ask, small: str, fields: dict[str, Any], outcome: str | None, seen: str | None
) -> None:
    found = shown(comment(**fields), small, facts)
    assert [(check.kind, check.outcome, check.seen) for check in found] == (
        [("guard", outcome, seen)] if outcome else []
    )


def test_the_check_stands_between_the_sender_and_the_guards(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    decision = decide(comment(hidden=HIDDEN), parse_rails(small + GUARD.format("allow"), CONTEXT), facts).decision
    assert [check.id for check in decision.checks][1:4] == ["who", "hidden", "guard:hidden"]


@pytest.mark.parametrize(
    ("then", "hidden", "verdict", "outcome", "seen", "remedy"),
    [
        ("deny", HIDDEN, Verdict.DENIED, "fail", SEEN, f"remove the {' and the '.join(HIDDEN)}"),
        ("require-approval", HIDDEN, Verdict.WAITING, "ask", SEEN, "the operator approves"),
        ("allow", HIDDEN, Verdict.ALLOWED, "pass", SEEN, None),
        ("deny", (), Verdict.ALLOWED, "skip", "no hidden text", None),
        ("require-approval", (), Verdict.ALLOWED, "skip", "no hidden text", None),
    ],
)
def test_a_guard_on_hidden_text(
    facts: RuntimeFacts,
    comment: Ask,
    small: str,
    then: str,
    hidden: tuple[str, ...],
    verdict: Verdict,
    outcome: str,
    seen: str,
    remedy: str | None,
) -> None:
    rails = parse_rails(small + GUARD.format(then), CONTEXT)
    decision = decide(comment(hidden=hidden), rails, facts).decision
    assert decision.verdict is verdict
    assert (decision.remedy.text if decision.remedy else None) == remedy
    (check,) = (check for check in decision.checks if check.id == "guard:hidden")
    assert (str(check.outcome), check.seen, check.wanted) == (outcome, seen, "hidden text")
    if verdict is not Verdict.ALLOWED:
        assert decision.reason == "guard hidden: nobody sees it"


def test_other_conditions_must_hold_as_well(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    text = small + "guards: [{id: both, if: {hidden_text: true, labels_any: [hot]}, then: deny}]"
    rails = parse_rails(text, CONTEXT)
    assert decide(comment(hidden=HIDDEN), rails, facts).decision.verdict is Verdict.ALLOWED
    assert decide(comment(labels=("hot",)), rails, facts).decision.verdict is Verdict.ALLOWED
    decision = decide(comment(hidden=HIDDEN, labels=("hot",)), rails, facts).decision
    assert (decision.verdict, decision.reason) == (Verdict.DENIED, "guard both: any label of hot and hidden text")


def test_a_dispatch_reads_no_thread(facts: RuntimeFacts, small: str) -> None:
    rails = parse_rails(small + GUARD.format("deny"), CONTEXT)
    decision = decide_dispatch(DispatchRequest("mend", "uid:1"), rails, facts).decision
    outcomes = {check.id: check.outcome for check in decision.checks}
    assert outcomes["guard:hidden"] is CheckOutcome.SKIP
    assert "hidden" not in outcomes
