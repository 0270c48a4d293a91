from collections.abc import Callable
from typing import Any

import pytest

from shared.models import Check, CheckOutcome, Decision, Thread, Verdict
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.decide import NO_RAILS, DispatchRequest, UnknownJobType, decide, decide_dispatch
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CONTEXT

Ask = Callable[..., Trigger]


def outcomes(decision: Decision) -> dict[str, str]:
    return {check.id: str(check.outcome) for check in decision.checks}


def one(decision: Decision, name: str) -> Check:
    return next(check for check in decision.checks if check.id == name)


def test_allowed_with_every_check_in_order(book: CompiledRails, facts: RuntimeFacts, comment: Ask) -> None:
    ruling = decide(comment(), book, facts)
    decision = ruling.decision
    assert (decision.verdict, decision.reason) == (Verdict.ALLOWED, "trigger mend-on-word")
    assert (decision.trigger, decision.sandbox, decision.remedy) == ("mend-on-word", "none", None)
    assert decision.rails_revision == book.revision
    assert (ruling.job, ruling.task) == (book.jobs["mend"], "the roof")
    assert decision.checks == (
        Check("trigger:mend-on-word", "trigger", CheckOutcome.PASS, 28, "@mosaic mend", "command mend"),
        Check("who", "who", CheckOutcome.PASS, 4, "forge:ann", "crew or house or chiefs", "users"),
        Check("hidden", "guard", CheckOutcome.PASS, None, "no hidden text"),
        Check("guard:stranger", "guard", CheckOutcome.SKIP, 45, "forge:ann", "not in crew, house", "does not apply"),
        Check("guard:forked", "guard", CheckOutcome.SKIP, 50, "not there", "from a fork", "does not apply"),
        Check("guard:noted", "guard", CheckOutcome.SKIP, 54, "no labels", "any label of nice", "does not apply"),
        Check(
            "capability:mend",
            "capability",
            CheckOutcome.PASS,
            25,
            "git:commit, repo:read, repo:write",
            "repo:write",
            "profile careful, which sets no sandbox: its agent runs without one",
        ),
        *(
            Check(
                f"limit:running.{name}",
                "limit",
                CheckOutcome.PASS,
                59,
                None,
                wanted,
                "beyond it a job waits in the queue",
            )
            for name, wanted in (("total", "4 running"), ("per_repo", "1 running"))
        ),
        *(
            Check(f"limit:{name}", "limit", CheckOutcome.PASS, 60, None, wanted)
            for name, wanted in (("per_sender", "6/h"), ("per_repo", "30/d"), ("per_thread", "4/m"))
        ),
        *(
            Check(f"limit:budget.{name}", "limit", CheckOutcome.PASS, 61, None, wanted, because)
            for name, wanted, because in (
                ("per_job", "5 USD and 60 turns", "beyond it the agent is ended"),
                ("per_day", "40.5 USD", "beyond it no job starts until the next day, UTC"),
            )
        ),
    )
    assert ruling.limits == book.limits


def test_denied_by_who(book: CompiledRails, facts: RuntimeFacts, comment: Ask) -> None:
    decision = decide(comment(sender="forge:eve"), book, facts).decision
    assert (decision.verdict, decision.reason) == (Verdict.DENIED, "who: forge:eve is in none of crew, house, chiefs")
    assert decision.remedy is not None
    assert (decision.remedy.text, decision.remedy.line) == ("add forge:eve to crew", 4)
    assert one(decision, "who").because == "the permission of chiefs cannot be looked up: no forge can be asked"
    assert [str(check.outcome) for check in decision.checks] == ["pass", "fail", *["unreached"] * 12]


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"sender": "Forge:ANN"}, "allowed"),
        ({"sender": "forge:bob[bot]"}, "allowed"),
        ({"sender": "forge:cleo"}, "waiting"),
        ({"sender": "forge:\u212aann"}, "denied"),
        ({"sender": "other:ann"}, "denied"),
        ({"sender": "ann"}, "denied"),
        ({"sender": None}, "denied"),
        ({"author": None}, "denied"),
        ({"author": None, "commands": (), "quotes": (), "name": "issue.opened"}, "denied"),
        (
            {
                "source": "home",
                "sender": "home",
                "author": "home",
                "quotes": (),
                "thread": Thread("issue", 7),
                "by_source": True,
            },
            "allowed",
        ),
        ({"source": "home", "sender": "home", "author": "home"}, "denied"),
        ({"source": "forge", "sender": "forge", "author": "forge", "by_source": True}, "denied"),
        ({"sender": "home", "by_source": False}, "denied"),
    ],
)
def test_who_may_request_a_job(
    book: CompiledRails, facts: RuntimeFacts, comment: Ask, fields: dict[str, Any], verdict: str
) -> None:
    assert decide(comment(**fields), book, facts).decision.verdict == verdict


@pytest.mark.parametrize("fields", [{"sender": None}, {"author": None}])
def test_a_deleted_account_is_denied(
    book: CompiledRails, facts: RuntimeFacts, comment: Ask, fields: dict[str, Any]
) -> None:
    decision = decide(comment(**fields), book, facts).decision
    assert decision.reason == "who: the account that sent this, or wrote its text, is missing (deleted)"


ASSIGNED = {
    "name": "issue.assigned",
    "commands": (),
    "assignees": ("forge:Mosaic",),
    "labels": ("READY",),
}


def test_an_event_without_a_trigger_is_ignored(book: CompiledRails, facts: RuntimeFacts, comment: Ask) -> None:
    edited = decide(comment(name=None, action="edited"), book, facts).decision
    push = decide(comment(name="push", event="push", action=None), book, facts).decision
    ping = decide(comment(unusable="a ping"), None, facts).decision
    assert (edited.reason, edited.checks) == ("no trigger wants issue_comment/edited", ())
    assert (push.reason, push.verdict) == ("no trigger wants push", Verdict.IGNORED)
    assert (ping.reason, ping.verdict) == ("a ping", Verdict.IGNORED)


STRANGER = "guard stranger: a stranger wrote it"
ASKED = "a member of chiefs approves"
FORKED = "guard forked: forks wait for people"


@pytest.mark.parametrize(
    ("fields", "reason", "seen", "remedy"),
    [
        ({**ASSIGNED, "author": "forge:eve"}, STRANGER, "forge:eve", ASKED),
        ({"thread": Thread("issue", 7, author="forge:eve")}, STRANGER, "forge:eve", ASKED),
        ({"thread": Thread("issue", 7)}, STRANGER, "unknown", ASKED),
        ({"quotes": (Quote("forge:zoe", "body", ""),)}, STRANGER, "forge:zoe", ASKED),
        ({**ASSIGNED, "thread": None, "author": "forge:eve"}, "trigger mend-on-assign", "not there", None),
        (
            {"name": "change.comment", "from_fork": True},
            FORKED,
            "from a fork",
            "move the change to a branch of acme/roof",
        ),
        ({"name": "change.comment"}, FORKED, "unknown", "remove change_from_fork from guard forked"),
        (
            {"thread": Thread("change", 7, author="forge:ann")},
            FORKED,
            "unknown",
            "remove change_from_fork from guard forked",
        ),
        ({"name": "change.comment", "from_fork": False}, "trigger mend-on-word", "not from a fork", None),
        (
            {**ASSIGNED, "thread": Thread("change", 7, author="forge:eve"), "from_fork": True},
            FORKED,
            "from a fork",
            "add forge:eve to crew and move the change to a branch of acme/roof",
        ),
        ({"labels": ("Nice",)}, "trigger mend-on-word", "Nice", None),
    ],
)
def test_guards(
    book: CompiledRails,
    facts: RuntimeFacts,
    comment: Ask,
    fields: dict[str, Any],
    reason: str,
    seen: str,
    remedy: str | None,
) -> None:
    decision = decide(comment(**fields), book, facts).decision
    assert decision.reason == reason
    verdicts = {STRANGER: Verdict.WAITING, FORKED: Verdict.DENIED}
    assert decision.verdict == verdicts.get(reason, Verdict.ALLOWED)
    assert seen in {check.seen for check in decision.checks if check.kind == "guard"}
    assert (decision.remedy.text if decision.remedy else None) == remedy


def test_a_guard_with_several_conditions_needs_them_all(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    book = parse_rails(
        small + "guards: [{id: both, if: {change_from_fork: true, labels_any: [cold, hot]}, then: deny}]", CONTEXT
    )
    forked = {"name": "change.comment", "from_fork": True}
    assert decide(comment(**forked), book, facts).job is not None
    decision = decide(comment(**forked, labels=("hot",)), book, facts).decision
    assert decision.reason == "guard both: from a fork and any label of cold, hot"
    assert one(decision, "guard:both").seen == "from a fork and hot"
    assert decision.remedy is not None
    assert decision.remedy.text == "remove the label hot"


@pytest.mark.parametrize(
    ("state", "kind", "otherwise", "remedy"),
    [
        ("draft", "change", "ready for review", "mark the change as ready for review"),
        ("closed", "issue", "open", "reopen the issue"),
        ("closed", "change", "open", "reopen the change"),
        ("locked", "issue", "not locked", "unlock the issue"),
    ],
)
def test_a_guard_on_the_state_of_a_thread(
    facts: RuntimeFacts, comment: Ask, small: str, state: str, kind: str, otherwise: str, remedy: str
) -> None:
    book = parse_rails(small + f"guards: [{{id: state, if: {{{state}: true}}, then: deny}}]", CONTEXT)
    about = {"name": f"{kind}.comment", "thread": Thread(kind, 7, author="forge:ann")}
    for holds, seen in ((None, "not there"), (False, otherwise)):
        decision = decide(comment(**about, **{state: holds}), book, facts).decision
        assert (decision.verdict, decision.remedy) == (Verdict.ALLOWED, None)
        check = one(decision, "guard:state")
        assert (check.outcome, check.seen, check.wanted) == (CheckOutcome.SKIP, seen, state)
    decision = decide(comment(**about, **{state: True}), book, facts).decision
    assert (decision.verdict, decision.reason) == (Verdict.DENIED, f"guard state: {state}")
    assert decision.remedy is not None
    assert (decision.remedy.text, one(decision, "guard:state").seen) == (remedy, state)


def test_a_state_is_one_condition_of_several(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    condition = "{closed: true, locked: true, author_of: [issue], not_in: [crew]}"
    book = parse_rails(small + f"guards: [{{id: all, if: {condition}, then: deny}}]", CONTEXT)
    stranger = {"thread": Thread("issue", 7, author="forge:eve"), "closed": True}
    assert one(decide(comment(**stranger), book, facts).decision, "guard:all").seen == "not there"
    decision = decide(comment(**stranger, locked=True), book, facts).decision
    assert decision.reason == "guard all: not in crew and closed and locked"
    assert one(decision, "guard:all").seen == "forge:eve and closed and locked"
    mine = {"thread": Thread("issue", 7, author="forge:ann"), "closed": True, "locked": True}
    assert decide(comment(**mine), book, facts).job is not None


def test_observe_mode_runs_nothing_and_says_what_would_have_happened(
    facts: RuntimeFacts, comment: Ask, small: str
) -> None:
    book = parse_rails(small.replace("version: 1", "version: 1\nmode: observe"), CONTEXT)
    allowed = decide(comment(), book, facts)
    denied = decide(comment(sender="forge:eve"), book, facts)
    dispatched = decide_dispatch(DispatchRequest("mend", "uid:1"), book, facts)
    assert {each.decision.verdict for each in (allowed, denied, dispatched)} == {Verdict.IGNORED}
    assert allowed.decision.reason == "observe: would have been allowed: trigger word"
    assert denied.decision.reason == "observe: would have been denied: who: forge:eve is in none of crew"
    assert dispatched.decision.reason == "observe: would have been allowed: dispatch mend"
    assert (allowed.job, allowed.task, dispatched.job) == (None, "", None)


def test_a_dispatch_skips_triggers_and_guards(book: CompiledRails, facts: RuntimeFacts) -> None:
    ruling = decide_dispatch(DispatchRequest("mend", "token:ci"), book, facts)
    assert ruling.decision.verdict is Verdict.ALLOWED
    assert ruling.job is book.jobs["mend"]
    assert outcomes(ruling.decision) == {
        "trigger": "skip",
        "who": "pass",
        "guard:stranger": "skip",
        "guard:forked": "skip",
        "guard:noted": "skip",
        "capability:mend": "pass",
        "limit:running.total": "pass",
        "limit:running.per_repo": "pass",
        "limit:per_sender": "pass",
        "limit:per_repo": "pass",
        "limit:per_thread": "pass",
        "limit:budget.per_job": "pass",
        "limit:budget.per_day": "pass",
    }
    denied = decide_dispatch(DispatchRequest("mend", "token:ci"), book, RuntimeFacts())
    assert denied.decision.verdict is Verdict.DENIED
    with pytest.raises(UnknownJobType, match=r"^unknown job type 'mand' \(did you mean mend\?\)$"):
        decide_dispatch(DispatchRequest("mand", "token:ci"), book, facts)


def test_without_rails_nothing_runs(facts: RuntimeFacts, comment: Ask) -> None:
    delivered = decide(comment(), None, facts).decision
    dispatched = decide_dispatch(DispatchRequest("mend", "uid:1"), None, facts).decision
    assert (delivered.verdict, delivered.reason) == (Verdict.IGNORED, NO_RAILS)
    assert (dispatched.verdict, dispatched.rails_revision) == (Verdict.DENIED, None)


def test_a_flood_of_commands_and_labels_stays_readable(book: CompiledRails, facts: RuntimeFacts, comment: Ask) -> None:
    flood = tuple(Command(f"verb{number}", "") for number in range(20_000))
    decision = decide(comment(commands=flood, labels=("x" * 5000,)), book, facts).decision
    assert decision.verdict is Verdict.IGNORED
    assert max(len(check.seen or "") for check in decision.checks) == 201
