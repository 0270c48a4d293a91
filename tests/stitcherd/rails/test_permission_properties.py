"""What is asked is exactly what can change the outcome, whatever the forge answers."""

import itertools
from collections.abc import Mapping
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.models import Thread, Verdict
from stitcherd.policy import ACCESS_RANKS, AccountAccess
from stitcherd.rails.decide import Evaluation, decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT

TEXT = """\
version: 1
people:
  named: {users: ["forge:ann"]}
  readers: {permission: read, users: ["forge:bob"]}
  writers: {permission: write}
  admins: {permission: admin}
profiles:
  careful: {capabilities: [repo:write], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment], command: mend, from: FROM, job: mend}
guards: GUARDS
"""
IDS = {"forge:ann": ("1",), "forge:bob": ("2",), "forge:eve": ("3",)}
ACCOUNTS = [*IDS, "forge:nobody"]  # the delivery gives no id of the last one
GROUPS = ["named", "readers", "writers", "admins"]

COMMENT: dict[str, Any] = {
    "source": "forge",
    "event": "issue_comment",
    "name": "issue.comment",
    "account_ids": IDS,
    "repository": "acme/roof",
    "commands": (Command("mend", "it"),),
}

some_groups = st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True)
some_accounts = st.sampled_from([*ACCOUNTS, None])
guards = st.lists(
    st.fixed_dictionaries(
        {
            "if": st.fixed_dictionaries(
                {"author_of": st.just(["issue"]), "not_in": some_groups},
                optional={"labels_any": st.just(["big"])},
            ),
            "then": st.sampled_from(["deny", "require-approval", "allow"]),
        }
    ),
    min_size=1,
    max_size=3,
)
senders = st.sampled_from([*IDS]).map(lambda account: {"sender": account, "author": account})
threads = st.fixed_dictionaries(
    {
        "thread": st.builds(Thread, st.just("issue"), st.just(7), author=some_accounts),
        "labels": st.sampled_from([(), ("big",)]),
        "quotes": st.lists(st.builds(Quote, some_accounts, st.just("body"), st.just("it leaks")), max_size=2).map(
            tuple
        ),
    }
)
triggers = st.builds(lambda sender, thread: Trigger(**COMMENT, **sender, **thread), senders, threads)
levels = st.dictionaries(st.sampled_from(["1", "2", "3"]), st.sampled_from([*ACCESS_RANKS]), max_size=3)

known = cache(lambda text: parse_rails(text, CONTEXT))


def evaluated(text: str, trigger: Trigger, access: Mapping[str, str]) -> Evaluation:
    facts = RuntimeFacts(
        executors={"smith": CAPABLE},
        cannot_ask=None,
        access={number: AccountAccess(level, 0) for number, level in access.items()},
    )
    return decide(trigger, known(text), facts)


def outcome(evaluation: Evaluation) -> Any:
    """Return what matters: the verdict, and who would have to approve, and may not."""
    waits = evaluation.waits
    return evaluation.decision.verdict, waits and ([guard.id for guard in waits.guards], waits.outsiders)


@settings(max_examples=300)
@given(triggers, some_groups, guards, levels)
def test_exactly_what_can_change_the_outcome_is_asked(
    trigger: Trigger, wanted: list[str], rules: list[dict[str, Any]], access: dict[str, str]
) -> None:
    numbered = [{"id": f"guard-{at}", **rule} for at, rule in enumerate(rules)]
    text = TEXT.replace("FROM", str(wanted)).replace("GUARDS", str(numbered))
    evaluation = evaluated(text, trigger, access)
    unknown = [number for number in ("1", "2", "3") if number not in access]
    answers = [dict(zip(unknown, each, strict=True)) for each in itertools.product(ACCESS_RANKS, repeat=len(unknown))]
    outcomes = {repr(outcome(evaluated(text, trigger, {**access, **each}))) for each in answers}
    asks = set(evaluation.asks)
    assert asks <= set(unknown)
    assert (evaluation.decision.verdict is Verdict.DECIDING) is bool(asks) is (len(outcomes) > 1)
    for each in answers:
        asked = {number: level for number, level in each.items() if number in asks}
        again = evaluated(text, trigger, {**access, **asked})
        assert again.decision.verdict is not Verdict.DECIDING, "one round of questions is enough"
        assert repr(outcome(again)) in outcomes
