"""Requests for approval, and decisions on comments that approve or deny: pure functions, no store."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import new_id
from shared.models import RunnerJob, Status, Thread, Tries, Usage, Verdict
from stitcherd.policy import AccountAccess, ApprovalRequest, CommandResult, GuardQuestion
from stitcherd.rails.approvals import (
    NOTHING_WAITS,
    RAILS_CHANGED,
    approval_request,
    decide_approval,
)
from stitcherd.rails.commands import thread_command
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger

Ask = Callable[..., Trigger]
TEXT = """\
version: 1
people:
  crew: {users: ["forge:ann"]}
  chiefs: {users: ["forge:zoe", "forge:ann", "forge:eve"]}
  judges: {users: ["forge:zoe", "forge:kim"]}
profiles:
  careful: {capabilities: [repo:write], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment], command: mend, from: [crew], job: mend}
guards:
  - {id: stranger, if: {author_of: [issue], not_in: [crew]}, then: require-approval, by: [chiefs], because: strange}
  - {id: hot, if: {labels_any: [hot]}, then: require-approval, by: [judges, chiefs]}
  - {id: odd, if: {labels_any: [odd]}, then: require-approval}
  - {id: never, if: {labels_any: [never]}, then: deny}
approvals: {expires: 2h}
"""
BOOK = parse_rails(TEXT)
ISSUE = Thread("issue", 7, author="forge:eve")
QUOTES = (Quote("forge:eve", "title", "It leaks"), Quote("forge:eve", "body", "a lot"))


def job(identifier: str | None = None) -> RunnerJob:
    return RunnerJob(
        id=identifier or new_id(),
        workspace_id="default",
        agent_task_id=None,
        type="mend",
        status=Status.PENDING,
        priority=5,
        profile="careful",
        executor="smith",
        repository="acme/roof",
        ref="main",
        thread=ISSUE,
        attempt=1,
        tries=Tries(0, 1),
        error=None,
        usage=Usage(),
        rails_revision=BOOK.revision,
        rails_digest=BOOK.digest,
        delivery_id=new_id(),
        branch="b",
        actor="source:forge/ann",
        created_at="",
        queued_at=None,
        started_at=None,
        completed_at=None,
        cancel_requested=False,
        version=1,
        last_event="job.waiting",
    )


@pytest.fixture
def asked(comment: Ask) -> Trigger:
    return comment(thread=ISSUE, quotes=QUOTES, head_sha="a" * 40)


@pytest.fixture
def waits(asked: Trigger, facts: RuntimeFacts) -> ApprovalRequest:
    found = approval_request(decide(asked, BOOK, facts), asked, 1000)
    assert found is not None
    return found


@pytest.fixture
def answer(comment: Ask) -> Callable[..., Trigger]:
    def make(text: str = "", *, login: str = "forge:zoe", verb: str = "approve", **fields: Any) -> Trigger:
        usual = {"thread": ISSUE, "quotes": QUOTES, "sender": login, "author": login}
        return comment(commands=(Command(verb, text),), **(usual | fields))

    return make


def decided(trigger: Trigger, waiting: list[tuple[RunnerJob, ApprovalRequest]], now: int = 2000, **more: Any) -> Any:
    more["facts"] = RuntimeFacts(account_ids=more.pop("account_ids", {}), **more.pop("known", {}))
    return decide_approval(
        trigger.commands[0], trigger, more.pop("book", BOOK), waiting, now=now, reevaluated=frozenset(), **more
    )


def test_the_request_describes_what_is_to_be_approved(
    waits: ApprovalRequest, asked: Trigger, facts: RuntimeFacts
) -> None:
    assert waits.guards == (GuardQuestion("stranger", ("chiefs",)),)
    assert (waits.asker, waits.outsiders, waits.source) == ("forge:ann", ("forge:eve",), "forge")
    assert (waits.rails_digest, waits.head_sha, waits.pins) == (
        BOOK.digest,
        "a" * 40,
        ("head_sha", "text_hash", "rails"),
    )
    assert (waits.expires, waits.expires_at) == ("2h", 1000 + 7_200_000)
    assert approval_request(decide(asked, BOOK, facts), asked, 9000, waits) == waits
    other = replace(asked, commands=(Command("mend", "all of it"),))
    again = approval_request(decide(other, BOOK, facts), other, 1000)
    assert again is not None
    assert again.text_sha256 != waits.text_sha256
    assert again.texts == waits.texts


@pytest.mark.parametrize(
    ("labels", "verdict", "remedy"),
    [
        (("hot",), Verdict.WAITING, "a member of chiefs approves and a member of judges or chiefs approves"),
        (("odd",), Verdict.WAITING, "a member of chiefs approves and the operator approves"),
        (("hot", "never"), Verdict.DENIED, "add forge:eve to crew and remove the label hot and remove the label never"),
    ],
)
def test_denying_guards_take_precedence_and_all_guards_are_named(
    asked: Trigger, facts: RuntimeFacts, labels: tuple[str, ...], verdict: Verdict, remedy: str
) -> None:
    ruling = decide(replace(asked, labels=labels), BOOK, facts)
    assert ruling.decision.verdict is verdict
    assert ruling.decision.remedy is not None
    assert ruling.decision.remedy.text == remedy
    assert (ruling.waits is None) == (ruling.job is None) == (verdict is Verdict.DENIED)


def test_a_job_that_cannot_run_is_denied_without_a_request(asked: Trigger) -> None:
    ruling = decide(asked, BOOK, RuntimeFacts())
    assert (ruling.decision.verdict, ruling.job, ruling.waits) == (Verdict.DENIED, None, None)
    assert ruling.decision.reason.startswith("capability: ")


def test_in_observe_mode_nothing_waits(asked: Trigger, facts: RuntimeFacts) -> None:
    ruling = decide(asked, parse_rails(TEXT.replace("version: 1", "version: 1\nmode: observe")), facts)
    assert (ruling.decision.verdict, ruling.job, ruling.waits) == (Verdict.IGNORED, None, None)
    assert ruling.decision.reason == "observe: would have been waiting: guard stranger: strange"


def test_only_the_first_command_approves_or_denies(answer: Callable[..., Trigger]) -> None:
    assert thread_command(answer("x"), BOOK) == Command("approve", "x")
    assert thread_command(answer("x", verb="deny"), BOOK) == Command("deny", "x")
    two = replace(answer(), commands=(Command("mend", ""), Command("approve", "")))
    for other in (two, answer(verb="mend"), replace(answer(), commands=()), answer(unusable="its own")):
        assert thread_command(other, BOOK) is None
    assert thread_command(answer(), None) is None
    assert thread_command(answer(), parse_rails(TEXT.replace("version: 1", "version: 1\nmode: observe"))) is None
    assert thread_command(answer(), parse_rails(TEXT.replace("command: mend", "command: approve"))) is None
    assert thread_command(answer(), parse_rails(TEXT.replace("{expires: 2h}", "{command: go}"))) is None


def test_every_guard_needs_an_approval_by_its_own_groups(
    waits: ApprovalRequest, answer: Callable[..., Trigger]
) -> None:
    both = replace(waits, guards=(GuardQuestion("stranger", ("chiefs",)), GuardQuestion("hot", ("judges",))))
    assert decided(answer(), [(job(), both)]).action == "approve"
    assert decided(answer(login="forge:kim"), [(job(), both)]).action is None
    nobody = replace(waits, guards=(GuardQuestion("odd", ()),))
    result = decided(answer(), [(job(), nobody)]).decision
    assert (result.verdict, result.reason.partition(": ")[2].partition(": ")[2]) == (
        Verdict.DENIED,
        "the operator answers for guard odd",
    )


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"login": "forge:ann"}, "they asked for it themselves"),
        ({"login": "FORGE:Ann"}, "they asked for it themselves"),
        ({"login": "forge:eve"}, "the text that it is about is their own"),
        ({"login": "mirror:zoe"}, "a member of chiefs answers for guard stranger"),
        ({"author": None}, "it is not known who wrote it"),
        ({"sender": None}, "it is not known who wrote it"),
        ({"sender": "forge:kim"}, "it is not known who wrote it"),
        ({"quotes": (QUOTES[0], Quote("forge:eve", "body", "a bit"))}, "the text of the thread has changed"),
        ({"quotes": QUOTES[:1]}, "the text of the thread has changed"),
        ({"head_sha": "b" * 40}, "the change has other commits by now"),
        ({"head_sha": "a" * 40}, None),
        ({"quotes": ()}, None),
        ({}, None),
    ],
)
def test_who_may_approve_what(
    waits: ApprovalRequest, answer: Callable[..., Trigger], fields: dict[str, Any], why: str | None
) -> None:
    waiting = job()
    result = decided(answer("fine", **fields), [(waiting, waits)])
    assert result.decision.verdict is (Verdict.ALLOWED if why is None else Verdict.DENIED)
    if why is None:
        assert (result.job_id, result.action, result.reason) == (waiting.id, "approve", "fine")
    else:
        assert result.job_id is None
        assert why in result.decision.reason


def test_only_what_is_pinned_must_be_unchanged(waits: ApprovalRequest, answer: Callable[..., Trigger]) -> None:
    loose = replace(waits, pins=(), rails_digest="before")
    changed = answer(quotes=(Quote("forge:eve", "title", "It floods"),), head_sha="b" * 40)
    assert decided(changed, [(job(), loose)]).action == "approve"
    result = decided(answer(), [(job(), replace(waits, rails_digest="before"))]).decision
    assert result.reason.endswith(RAILS_CHANGED)
    same_name = BOOK.digest[:8] + "0" * 56
    result = decided(answer(), [(job(), replace(waits, rails_digest=same_name))]).decision
    assert result.reason.endswith(RAILS_CHANGED)


def test_an_expired_request_can_be_denied_but_not_approved(
    waits: ApprovalRequest, answer: Callable[..., Trigger]
) -> None:
    late = waits.expires_at
    result = decided(answer(), [(job(), waits)], now=late).decision
    assert result.reason.endswith("the 2h in which it could be approved are over")
    assert decided(answer(), [(job(), waits)], now=late - 1).action == "approve"
    denied = decided(answer("no", verb="deny"), [(job(), waits)], now=late)
    assert (denied.decision.verdict, denied.action, denied.reason) == (Verdict.ALLOWED, "deny", "no")


@pytest.mark.parametrize(
    ("text", "verdict", "reason"),
    [
        ("", Verdict.ALLOWED, None),
        ("3a1c9d", Verdict.ALLOWED, None),
        ("7F3A1C9D fine by me", Verdict.ALLOWED, "fine by me"),
        ("facade work is fine", Verdict.ALLOWED, "facade work is fine"),
        ("1234567 fine", Verdict.IGNORED, None),
    ],
)
def test_a_job_may_be_named_by_the_end_of_its_id(
    waits: ApprovalRequest, answer: Callable[..., Trigger], text: str, verdict: Verdict, reason: str | None
) -> None:
    result = decided(answer(text), [(job("0199f3a1-5c2f-7a60-8e21-5b1f7f3a1c9d"), waits)])
    assert (result.decision.verdict, result.reason) == (verdict, reason)


@pytest.mark.parametrize("text", ["", "fine by me"])
def test_nothing_is_approved_where_nothing_waits(answer: Callable[..., Trigger], text: str) -> None:
    result = decided(answer(text), [])
    assert (result.decision.verdict, result.decision.reason, result.job_id) == (Verdict.IGNORED, NOTHING_WAITS, None)


def test_an_approver_whose_account_changed_may_not_approve(waits: ApprovalRequest, answer: Ask) -> None:
    trigger = answer(account_ids={"forge:zoe": ("2",)})
    waiting = [(job(), waits)]
    denied = decided(trigger, waiting, account_ids={"forge:zoe": "1"})
    assert (denied.job_id, denied.decision.verdict) == (None, Verdict.DENIED)
    assert denied.decision.reason.endswith(
        "account_changed: forge:zoe has the id 2, and 1 is kept for this login;"
        " run stitcher accounts accept forge:zoe#2 if it is the same person"
    )
    assert decided(trigger, waiting, account_ids={"forge:zoe": "2"}).decision.verdict is Verdict.ALLOWED


def test_an_allowed_approval_has_the_id_of_the_account(waits: ApprovalRequest, answer: Ask) -> None:
    assert decided(answer(account_ids={"forge:zoe": ("7",)}), [(job(), waits)]).account_id == "7"
    assert decided(answer(), [(job(), waits)]).account_id is None


def test_an_approval_in_a_text_of_somebody_else_is_none(answer: Ask) -> None:
    assert thread_command(answer(), BOOK) is not None
    assert thread_command(answer(author="forge:eve"), BOOK) is None


def test_an_approver_by_permission_is_asked_and_then_decided(
    waits: ApprovalRequest, answer: Callable[..., Trigger]
) -> None:
    chiefs = 'chiefs: {users: ["forge:zoe", "forge:ann", "forge:eve"]}'
    book = parse_rails(TEXT.replace(chiefs, "chiefs: {permission: admin}"))
    waiting, request = job(), replace(waits, rails_digest=book.digest)
    trigger = answer(login="forge:zoe", account_ids={"forge:zoe": ("5",)})

    def said(level: str | None = None, failure: str | None = None, **more: Any) -> CommandResult:
        access = {"5": AccountAccess(level, 0, failure)} if level or failure else {}
        known = {"cannot_ask": None, "access": access}
        result: CommandResult = decided(trigger, [(waiting, request)], book=book, known=known, **more)
        return result

    asking = said()
    assert (asking.decision.verdict, asking.asks, asking.job_id) == (Verdict.DECIDING, {"5": "forge:zoe"}, None)
    assert asking.decision.reason == "asking forge for the permission of forge:zoe on acme/roof"
    assert [str(check.outcome) for check in asking.decision.checks] == ["pass", "ask"]
    allowed = said("admin")
    assert (allowed.decision.verdict, allowed.job_id, allowed.action) == (Verdict.ALLOWED, waiting.id, "approve")
    assert allowed.decision.checks[1].seen == "forge:zoe#5 has admin (asked 00:00:00.000Z)"
    assert said("write").decision.reason.endswith(": a member of chiefs answers for guard stranger")
    told = "permission_unknown: github answered 403"
    assert said(failure=told).decision.reason.endswith(f": a member of chiefs answers for guard stranger; {told}")
    late = said(now=request.expires_at)
    assert (late.decision.verdict, late.asks) == (Verdict.DENIED, {}), "nothing is asked that cannot change it"


def test_a_head_that_was_pinned_later_is_kept_under_other_rails(
    asked: Trigger, facts: RuntimeFacts, answer: Ask
) -> None:
    unnamed = replace(asked, head_sha=None)
    first = approval_request(decide(unnamed, BOOK, facts), unnamed, 1000)
    assert first is not None
    again = approval_request(decide(unnamed, BOOK, facts), unnamed, 1500, replace(first, head_sha="b" * 40))
    assert again is not None
    assert (first.head_sha, again.head_sha) == (None, "b" * 40)
    result = decided(answer(head_sha="a" * 40), [(job(), again)])
    assert "the change has other commits by now" in result.decision.reason
