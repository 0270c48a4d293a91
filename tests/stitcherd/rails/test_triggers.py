"""Which trigger matches a delivery, and what is said of those that do not."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.models import Check, CheckOutcome, Verdict
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.text import parse_commands
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CONTEXT

Ask = Callable[..., Trigger]


@pytest.mark.parametrize(
    ("fields", "seen", "wanted", "because", "remedy"),
    [
        (
            {"commands": (Command("mned", ""),)},
            "@mosaic mned",
            "command mend",
            "did you mean mend?",
            "write a line that starts with `@mosaic mend`",
        ),
        (
            {"commands": (Command("men", ""),)},
            "@mosaic men",
            "command mend",
            "did you mean mend?",
            "write a line that starts with `@mosaic mend`",
        ),
        (
            {"commands": (Command("lend", ""),)},
            "@mosaic lend",
            "command mend",
            "did you mean mend?",
            "write a line that starts with `@mosaic mend`",
        ),
        (
            {"commands": (Command("mendd", ""),)},
            "@mosaic mendd",
            "command mend",
            "did you mean mend?",
            "write a line that starts with `@mosaic mend`",
        ),
        (
            {"commands": (Command("read", ""),)},
            "@mosaic read",
            "command mend",
            None,
            "write a line that starts with `@mosaic mend`",
        ),
        ({"commands": ()}, "no command", "command mend", None, "write a line that starts with `@mosaic mend`"),
        (
            {"repository": "acme/vault"},
            "acme/vault",
            "repos acme/*, !acme/vault",
            None,
            "let repos of trigger mend-on-word match acme/vault",
        ),
        (
            {"repository": "emca/roof"},
            "emca/roof",
            "repos acme/*, !acme/vault",
            None,
            "let repos of trigger mend-on-word match emca/roof",
        ),
        ({"repository": None}, "no repository", "repos acme/*, !acme/vault", None, None),
    ],
)
def test_near_misses(
    book: CompiledRails,
    facts: RuntimeFacts,
    comment: Ask,
    fields: dict[str, Any],
    seen: str,
    wanted: str,
    because: str | None,
    remedy: str | None,
) -> None:
    ruling = decide(comment(**fields), book, facts)
    decision = ruling.decision
    assert (decision.verdict, ruling.job) == (Verdict.IGNORED, None)
    assert decision.reason == f"no trigger matches: mend-on-word wants {wanted}, seen {seen}"
    assert decision.checks[0] == Check("trigger:mend-on-word", "trigger", CheckOutcome.FAIL, 28, seen, wanted, because)
    assert {str(check.outcome) for check in decision.checks[1:]} == {"unreached"}
    assert (decision.remedy.text if decision.remedy else None) == remedy


ASSIGNED = {
    "name": "issue.assigned",
    "commands": (),
    "assignees": ("forge:Mosaic",),
    "labels": ("READY",),
}


@pytest.mark.parametrize(
    ("fields", "reason", "remedy"),
    [
        ({}, "trigger mend-on-assign", None),
        ({"assignees": ("mosaic",)}, "trigger mend-on-assign", None),
        (
            {"assignees": ("forge:ann",)},
            "no trigger matches: mend-on-assign wants assignee mosaic, seen forge:ann",
            "assign mosaic",
        ),
        ({"assignees": ()}, "no trigger matches: mend-on-assign wants assignee mosaic, seen nobody", "assign mosaic"),
        ({"labels": ()}, "no trigger matches: mend-on-assign wants label ready, seen no labels", "add the label ready"),
        (
            {"labels": ("ready", "Blocked")},
            "no trigger matches: mend-on-assign wants no label blocked, seen ready, Blocked",
            "remove the label blocked",
        ),
        (
            {"labels": ("blocked",)},
            "no trigger matches: mend-on-assign wants label ready, seen blocked",
            "add the label ready and remove the label blocked",
        ),
    ],
)
def test_assignees(
    book: CompiledRails, facts: RuntimeFacts, comment: Ask, fields: dict[str, Any], reason: str, remedy: str | None
) -> None:
    decision = decide(comment(**ASSIGNED | fields), book, facts).decision
    assert decision.reason == reason
    assert (decision.remedy.text if decision.remedy else None) == remedy


def test_the_first_matching_trigger_wins_and_earlier_ones_are_listed(
    facts: RuntimeFacts, comment: Ask, small: str
) -> None:
    more = "  - {id: late, on: [issue.comment], from: [crew], job: mend}\n"
    early = small.replace(
        "  - {id: word", "  - {id: repo, on: [issue.comment], repos: [x/*], from: [crew], job: mend}\n  - {id: word"
    )
    decision = decide(comment(commands=()), parse_rails(early + more, CONTEXT), facts).decision
    assert decision.trigger == "late"
    assert [(check.id, str(check.outcome)) for check in decision.checks[:3]] == [
        ("trigger:repo", "fail"),
        ("trigger:word", "fail"),
        ("trigger:late", "pass"),
    ]
    assert (decision.checks[2].seen, decision.checks[2].wanted) == ("issue.comment", "issue.comment")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("@mosaic mend.", "@mosaic mend."),
        ("@mosaic mend: the roof", "@mosaic mend: the roof"),
        ("Hi @mosaic mend", "@mosaic mend"),
        ("thanks\n\n- @mosaic mend\n- more", "@mosaic mend"),
        ("`@Mosaic mend`", "@Mosaic mend`"),
        ("@mosaic\N{NO-BREAK SPACE}mend", "@mosaic\N{NO-BREAK SPACE}mend"),
        ("@mosaic", "@mosaic"),
        ("@mosaic! " + "x" * 100, "@mosaic! " + "x" * 38),
        ("@mosaic mend\n" + "x" * 70_000, "@mosaic mend"),
    ],
)
def test_a_mention_that_is_no_command_is_shown(
    book: CompiledRails, facts: RuntimeFacts, comment: Ask, text: str, seen: str
) -> None:
    assert parse_commands(text, "mosaic") == ()
    quotes = (Quote("forge:ann", "body", "@mosaic not this"), Quote("forge:ann", "comment", text))
    decision = decide(comment(commands=(), quotes=quotes), book, facts).decision
    assert (decision.verdict, decision.checks[0].seen) == (Verdict.IGNORED, seen)
    because = (
        (
            "a command is a line of its own outside quotes, lists and code:"
            " the mention, a space, and a verb of letters, digits, - and _"
        )
        if len(text) < 70_000
        else "a text of more than 65,536 characters has no commands"
    )
    assert decision.checks[0].because == because
    assert decision.reason.endswith(f"seen {seen} ({because})")


@pytest.mark.parametrize("text", ["ops@mosaic mend.", "@mosaic-bot mend.", "@mosaics", "x/@mosaic", "nobody"])
def test_other_names_are_no_mention(book: CompiledRails, facts: RuntimeFacts, comment: Ask, text: str) -> None:
    decision = decide(comment(commands=(), quotes=(Quote("forge:ann", "comment", text),)), book, facts).decision
    assert (decision.checks[0].seen, decision.checks[0].because) == ("no command", None)


def test_the_first_command_of_the_text_runs_and_the_others_are_told(
    facts: RuntimeFacts, comment: Ask, small: str
) -> None:
    rails = parse_rails(
        small + "  - {id: paint, on: [issue.comment], command: paint, from: [crew], job: mend}\n", CONTEXT
    )
    commands = (Command("unknown", ""), Command("paint", "A"), Command("mend", "B"), Command("paint", "C"))
    ruling = decide(comment(commands=commands), rails, facts)
    assert (ruling.decision.trigger, ruling.task) == ("paint", "A")
    assert ruling.decision.checks[0].because == (
        "not run: @mosaic unknown, @mosaic mend, @mosaic paint, since a comment starts one job"
    )
    alone = decide(comment(), rails, facts).decision
    assert (alone.trigger, alone.checks[0].because) == ("word", None)
