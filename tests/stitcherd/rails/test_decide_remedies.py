"""Following a remedy makes the decision allow the job."""

import re
from collections.abc import Callable
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.models import Thread, Verdict
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CONTEXT

TEXT = """\
version: 1
people:
  crew: {users: ["forge:ann"]}
  guests: {users: ["forge:gus"]}
profiles:
  careful: {capabilities: [repo:write], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [change.comment], command: mend, repos: ["acme/*"], labels: {all: [ready], none: [wip]}, from: [crew, guests], job: mend}
guards:
  - {id: stranger, if: {author_of: [change], not_in: [crew]}, then: deny}
  - {id: forked, if: {change_from_fork: true}, then: deny}
  - {id: over, if: {closed: true, draft: true}, then: deny}
  - {id: frozen, if: {labels_any: [freeze, thaw]}, then: deny}
"""  # noqa: E501 (a rule a line, so that a remedy's line is the rule's)
STAGES = 4  # trigger, both conditions of who, and guards: each shows its remedy when those before it are content

accounts = st.sampled_from(["forge:ann", "forge:bob[bot]", "forge:eve", "forge:gus"])
asked = st.builds(
    Trigger,
    source=st.just("forge"),
    event=st.just("issue_comment"),
    name=st.just("change.comment"),
    sender=accounts,
    author=accounts,
    repository=st.sampled_from(["acme/roof", "other/roof"]),
    thread=st.builds(Thread, st.just("change"), st.just(7), author=accounts),
    labels=st.lists(st.sampled_from(["ready", "wip", "freeze", "thaw", "nice"]), unique=True).map(tuple),
    commands=st.sampled_from([(), (Command("mend", "it"),), (Command("mned", "it"),)]),
    quotes=st.lists(st.builds(Quote, accounts, st.just("body"), st.just("it leaks")), max_size=2).map(tuple),
    from_fork=st.sampled_from([None, True, False]),
    draft=st.booleans(),
    closed=st.booleans(),
)


known = cache(parse_rails)


def in_line(text: str, line: int, old: str, new: str) -> str:
    lines = text.split("\n")
    assert old in lines[line - 1], (line, old)
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines)


def followed(advice: str, text: str, trigger: Trigger) -> tuple[str, Trigger]:
    """Do what one part of a remedy says, to the rails or to what is asked."""
    if found := re.fullmatch(r"add (forge:\S+) to (\w+)", advice):
        line = 1 + text[: text.index(f"\n  {found[2]}:")].count("\n") + 1
        text = in_line(text, line, "users: [", f'users: ["{found[1]}", ')
    elif found := re.fullmatch(r"let repos of trigger word match (\S+)", advice):
        text = text.replace("repos: [", f'repos: ["{found[1]}", ')
    elif found := re.fullmatch(r"add the label (\w+)", advice):
        trigger = replace(trigger, labels=(*trigger.labels, found[1]))
    elif found := re.fullmatch(r"(?:remove the label )?(\w+)", advice):
        trigger = replace(trigger, labels=tuple(each for each in trigger.labels if each != found[1]))
    elif advice == "write a line that starts with `@mosaic mend`":
        trigger = replace(trigger, commands=(Command("mend", "it"),))
    elif advice == f"write the command as {trigger.sender}":
        trigger = replace(trigger, author=trigger.sender)
    elif advice == f"move the change to a branch of {trigger.repository}":
        trigger = replace(trigger, from_fork=False)
    elif advice == "mark the change as ready for review":
        trigger = replace(trigger, draft=False)
    else:
        assert advice == "remove change_from_fork from guard forked"
        text = text.replace("  - {id: forked, if: {change_from_fork: true}, then: deny}\n", "")
    return text, trigger


@settings(max_examples=250, deadline=None)
@given(asked)
def test_following_the_remedies_allows_the_job(facts: RuntimeFacts, trigger: Trigger) -> None:
    text = TEXT
    for _ in range(STAGES + 1):
        decision = decide(trigger, known(text), facts).decision
        if decision.verdict is Verdict.ALLOWED:
            assert decision.remedy is None
            return
        assert decision.remedy is not None, decision
        assert decision.remedy.line is not None
        for advice in decision.remedy.text.split(" and "):
            text, trigger = followed(advice, text, trigger)
    raise AssertionError(decision)


@settings(max_examples=50, deadline=None)
@given(asked)
def test_the_same_delivery_is_decided_the_same_under_the_same_rails(facts: RuntimeFacts, trigger: Trigger) -> None:
    decisions = {replace(decide(trigger, parse_rails(TEXT, CONTEXT), facts).decision, micros=0) for _ in range(2)}
    assert len(decisions) == 1


def test_a_remedy_names_the_line_to_change(facts: RuntimeFacts, comment: Callable[..., Trigger]) -> None:
    trigger = comment(name="change.comment", labels=("ready",), sender="forge:eve", from_fork=False)
    remedy = decide(trigger, parse_rails(TEXT, CONTEXT), facts).decision.remedy
    assert remedy is not None
    assert remedy.text == "add forge:eve to crew"
    assert TEXT.split("\n")[(remedy.line or 0) - 1].strip().startswith("crew:")
