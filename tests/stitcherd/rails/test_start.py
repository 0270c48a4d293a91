"""Where a job on a change starts is shown in its decision."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.models import Thread
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CONTEXT

CHANGE = {"thread": Thread("change", 7)}
HEAD_REF = "refs/pull/7/head"
HEAD = "the head of the change; the base, if the repository does not have it"
MISSING = "the commits of change #7 are not in this checkout"


@pytest.mark.parametrize(
    ("fields", "head_ref", "shown"),
    [
        (CHANGE, HEAD_REF, ("pass", HEAD_REF, HEAD)),
        (CHANGE | {"head_sha": "1a2b" * 10}, HEAD_REF, ("pass", f"{HEAD_REF} at 1a2b1a2", HEAD)),
        (CHANGE | {"head_sha": "1a2b" * 10}, None, ("pass", "the base", MISSING)),
        (CHANGE | {"sender": "forge:eve"}, HEAD_REF, ("unreached", None, None)),
        ({"thread": Thread("issue", 7)}, None, None),
        ({"thread": None}, None, None),
    ],
)
def test_a_decision_shows_where_a_job_on_a_change_starts(
    facts: RuntimeFacts,
    comment: Callable[..., Trigger],
    small: str,
    fields: dict[str, Any],
    head_ref: str | None,
    shown: tuple[str, str | None, str | None] | None,
) -> None:
    decision = decide(comment(**fields), parse_rails(small, CONTEXT), replace(facts, head_ref=head_ref)).decision
    found = [check for check in decision.checks if check.id == "start"]
    assert [(check.outcome, check.seen, check.because) for check in found] == ([shown] if shown else [])
    assert {check.kind for check in found} <= {"guard"}
