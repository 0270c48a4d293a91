import re
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.models import Thread, Verdict
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.decide import Evaluation, decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CONTEXT

accounts = st.sampled_from(["forge:ann", "FORGE:Bob[bot]", "forge:eve", "home", ""]) | st.text(max_size=12) | st.none()
words = st.sampled_from(["mend", "mned", "read", "nice", "ready", "blocked"]) | st.text(max_size=8)
names = st.sampled_from(
    ["issue.comment", "change.comment", "issue.assigned", "issue.opened", "push", "change.review_requested"]
)
triggers = st.builds(
    Trigger,
    source=st.sampled_from(["forge", "home"]),
    event=st.text(max_size=8),
    action=st.none() | st.text(max_size=8),
    name=names | st.none(),
    unusable=st.none() | st.none() | st.text(max_size=8),
    sender=accounts,
    by_source=st.booleans(),
    author=accounts,
    repository=st.none() | st.sampled_from(["acme/roof", "acme/vault", "x/y"]) | st.text(max_size=20),
    thread=st.none() | st.builds(Thread, st.sampled_from(["issue", "change"]), st.integers(1, 9), author=accounts),
    labels=st.lists(words, max_size=3).map(tuple),
    assignees=st.lists(st.sampled_from(["forge:mosaic", "mosaic", "forge:ann"]), max_size=2).map(tuple),
    commands=st.lists(st.builds(Command, words, st.text(max_size=9)), max_size=2).map(tuple),
    quotes=st.lists(st.builds(Quote, accounts, st.just("body"), st.text(max_size=9)), max_size=2).map(tuple),
    from_fork=st.none() | st.booleans(),
    draft=st.none() | st.booleans(),
    closed=st.none() | st.booleans(),
    locked=st.none() | st.booleans(),
)


def said(ruling: Evaluation) -> tuple[Any, ...]:
    return (replace(ruling.decision, micros=0), ruling.job and ruling.job.name)


@settings(max_examples=300, deadline=None)
@given(triggers)
def test_a_decision_is_total_repeatable_and_denies_by_default(
    book: CompiledRails, facts: RuntimeFacts, trigger: Trigger
) -> None:
    ruling = decide(trigger, book, facts)
    decision = ruling.decision
    assert said(ruling) == said(decide(trigger, book, facts))
    assert (ruling.job is not None) == (decision.verdict in {Verdict.ALLOWED, Verdict.WAITING})
    assert (ruling.waits is not None) == (decision.verdict is Verdict.WAITING)
    kinds = [check.kind for check in decision.checks]
    assert kinds == sorted(kinds, key=["trigger", "who", "guard", "capability", "limit"].index)
    if decision.verdict is Verdict.ALLOWED:
        outcomes = {str(check.outcome) for check in decision.checks if not check.id.startswith("trigger:")}
        assert outcomes <= {"pass", "skip"}
        assert trigger.unusable is None
        assert decision.remedy is None
    assert decide(trigger, None, facts).job is None


@settings(max_examples=150, deadline=None)
@given(triggers, st.sampled_from(["", "guards:\n  - {id: a, if: {labels_any: [x]}, then: allow}\n"]))
def test_a_denying_guard_wins(small: str, facts: RuntimeFacts, trigger: Trigger, others: str) -> None:
    deny = "  - {id: no, if: {labels_any: [x]}, then: deny}\n"
    asked = replace(trigger, labels=("x",))
    book = parse_rails(small + (others or "guards:\n") + deny, CONTEXT)
    assert decide(asked, book, facts).decision.verdict in {Verdict.DENIED, Verdict.IGNORED}


@settings(max_examples=150, deadline=None)
@given(triggers, st.text(), st.text())
def test_free_text_changes_nothing(
    book: CompiledRails, facts: RuntimeFacts, trigger: Trigger, one: str, two: str
) -> None:
    changed = replace(
        trigger,
        commands=tuple(Command(each.verb, one) for each in trigger.commands),
        quotes=tuple(Quote(each.author, each.kind, two) for each in trigger.quotes),
        thread=replace(trigger.thread, title=two) if trigger.thread else None,
    )
    assert said(decide(trigger, book, facts)) == said(decide(changed, book, facts))


@settings(max_examples=40, deadline=None)
@given(st.from_regex(r"[a-z][a-z0-9-]{0,8}(\[bot\])?", fullmatch=True))
def test_the_remedy_of_a_who_denial_allows(
    every_word: str, facts: RuntimeFacts, comment: Callable[..., Trigger], login: str
) -> None:
    account = f"forge:{login}x"
    asked = comment(sender=account)
    remedy = decide(asked, parse_rails(every_word, CONTEXT), facts).decision.remedy
    assert remedy is not None
    assert remedy.line is not None
    named = re.fullmatch(r"add (\S+) to (\w+)", remedy.text)
    assert named is not None
    lines = every_word.split("\n")
    assert lines[remedy.line - 1].strip().startswith(f"{named[2]}:")
    lines[remedy.line - 1] = lines[remedy.line - 1].replace("users: [", f'users: ["{named[1]}", ')
    assert decide(asked, parse_rails("\n".join(lines), CONTEXT), facts).decision.verdict is Verdict.ALLOWED
