"""A job is denied if something that it needs is not available, with the reason and a remedy."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.models import Verdict
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.decide import decide
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from stitcherd.sources.trigger import Trigger
from tests.stitcherd.rails.contexts import CONTEXT

Ask = Callable[..., Trigger]


@pytest.mark.parametrize(
    ("change", "check", "reason"),
    [
        ({"executors": {}}, "capability:executor", "stitcherd.toml has no [executors.smith]"),
        (
            {"executors": {"smith": ExecutorFacts(unusable="kind forge is new")}},
            "capability:executor",
            "kind forge is new",
        ),
        ({"gates": {}}, "capability:gate:scope", "there is no built-in gate diff-rules"),
        ({"gates": {"diff-rules": "not yet"}}, "capability:gate:scope", "not yet"),
        ({"sandboxes": {"none": "not without"}}, "capability:sandbox", "not without"),
        ({"repository": "acme/roof matches nothing"}, "capability:repository", "acme/roof matches nothing"),
        ({"publish": "the clone is a URL"}, "capability:publish", "the clone is a URL"),
    ],
)
def test_a_job_is_denied_without_what_it_needs(
    book: CompiledRails, facts: RuntimeFacts, comment: Ask, change: dict[str, Any], check: str, reason: str
) -> None:
    ruling = decide(comment(), book, replace(facts, **change))
    assert (ruling.decision.verdict, ruling.job) == (Verdict.DENIED, None)
    checks = {each.id: each for each in ruling.decision.checks}
    assert ruling.decision.reason == f"capability: {reason}"
    assert checks[check].because == reason
    assert checks["limit:per_sender"].outcome == "unreached"
    assert ruling.decision.remedy is not None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("sandbox: bwrap", "there is no bwrap"),
        ("sandbox: bwrap, memory: 1GiB", "there is no bwrap"),
        ("tools: [read]", "executor smith cannot restrict an agent to the tools of profile careful"),
        ("network: host", None),
    ],
)
def test_an_unenforceable_profile_does_not_run(
    facts: RuntimeFacts, comment: Ask, small: str, asked: str, reason: str | None
) -> None:
    executors = {"smith": ExecutorFacts(sandboxable=True)}
    lacking = replace(facts, sandboxes={"none": None, "bwrap": "there is no bwrap"}, executors=executors)
    assert_said(facts=lacking, comment=comment, small=small, asked=asked, reason=reason)
    assert decide(comment(), parse_rails(small.replace("smith", "smith, sandbox: bwrap"), CONTEXT), facts).job is None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("sandbox: bwrap, processes: 9", "processes cannot be limited here: nobody counts"),
        ("sandbox: bwrap, memory: 1GiB", None),
        ("sandbox: bwrap, network: none, mounts: [/opt]", None),
    ],
)
def test_an_unenforceable_limit_denies(
    facts: RuntimeFacts, comment: Ask, small: str, asked: str, reason: str | None
) -> None:
    boxed = replace(facts, sandboxes={"bwrap": None}, unenforceable_limits={"processes": "nobody counts"})
    assert_said(facts=boxed, comment=comment, small=small, asked=asked, reason=reason)


def test_a_sandbox_must_reach_the_agent(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    far = replace(facts, sandboxes={"bwrap": None}, executors={"smith": ExecutorFacts(holds_tools=True)})
    assert decide(comment(), parse_rails(small, CONTEXT), far).decision.sandbox == "none"
    ruling = decide(comment(), parse_rails(small.replace("smith", "smith, sandbox: bwrap"), CONTEXT), far)
    assert ruling.decision.reason == "capability: executor smith runs its agents where sandbox bwrap does not reach"
    assert ruling.decision.remedy is not None
    assert ruling.decision.remedy.text == "remove sandbox from profile careful"


def assert_said(*, facts: RuntimeFacts, comment: Ask, small: str, asked: str, reason: str | None) -> None:
    """Assert what is decided where the profile asks for something, and where a gate does."""
    book = parse_rails(small.replace("executor: smith", f"executor: smith, {asked}"), CONTEXT)
    decision = decide(comment(), book, facts).decision
    assert decision.reason == (f"capability: {reason}" if reason else "trigger word")
    if "tools" not in asked:
        gated = small.replace("needs: [repo:write]", "gates: [g]") + f"gates: {{g: {{run: [make], {asked}}}}}\n"
        decision = decide(comment(), parse_rails(gated, CONTEXT), facts).decision
        assert decision.reason == (f"capability: {reason}" if reason else "trigger word")


def test_publishing_matters_only_to_jobs_that_commit(facts: RuntimeFacts, comment: Ask, small: str) -> None:
    nowhere = replace(facts, publish="the clone is a URL")
    reading = parse_rails(small.replace("needs: [repo:write]", "needs: []"), CONTEXT)
    assert decide(comment(), reading, nowhere).job is not None
    assert decide(comment(), parse_rails(small, CONTEXT), nowhere).job is None
