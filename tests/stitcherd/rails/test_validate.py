"""What executors cannot hold an agent to is an error at its place; what they do not report is a warning."""

from typing import Any

import pytest

from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.requirements import ExecutorFacts, RuntimeFacts
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT

TEXT = """\
version: 1
profiles:
  careful:
    capabilities: [repo:read]
    executor: smith
    sandbox: none
jobs:
  look: {profile: careful}
limits: {budget: {per_job: {usd: 5}, per_day: {turns: 40}}}
"""


TOOLS = "executor smith cannot restrict an agent to the tools of profile careful: remove tools from profile careful"


def facts(**more: Any) -> RuntimeFacts:
    far = ExecutorFacts(unusable="executor far is a gateway on another machine")
    usual: dict[str, Any] = {"executors": {"smith": CAPABLE, "far": far}}
    return RuntimeFacts(**usual | more)


@pytest.mark.parametrize(
    ("old", "new", "more", "line", "column", "message"),
    [
        ("smith", "smit", {}, 5, 15, "stitcherd.toml has no [executors.smit] (did you mean smith?)"),
        ("smith", "nobody", {}, 5, 15, "stitcherd.toml has no [executors.nobody]"),
        ("smith", "far", {}, 5, 15, "executor far is a gateway on another machine"),
        (
            "sandbox: none",
            "tools: [read]",
            {"executors": {"smith": ExecutorFacts(sandboxable=True)}},
            6,
            5,
            TOOLS,
        ),
        (
            "none",
            "bwrap",
            {"executors": {"smith": ExecutorFacts(holds_tools=True)}},
            6,
            5,
            "executor smith runs its agents where sandbox bwrap does not reach: remove sandbox from profile careful",
        ),
        (
            "none",
            "none",
            {"objection": lambda _: "no such tool"},
            5,
            15,
            "executor smith cannot enforce profile careful: no such tool",
        ),
    ],
)
def test_what_nothing_holds_does_not_load(
    old: str, new: str, more: dict[str, Any], line: int, column: int, message: str
) -> None:
    text = TEXT.replace(old, new)
    assert parse_rails(text, CONTEXT).text == text, "without a house it is only read"
    with pytest.raises(RailsError) as refused:
        parse_rails(text, CONTEXT._replace(facts=facts(**more)))
    assert (refused.value.line, refused.value.column, refused.value.message) == (line, column, message)


def test_a_house_where_nothing_is_set_up_yet_is_only_warned_of() -> None:
    (warning,) = parse_rails(TEXT, CONTEXT._replace(facts=facts(executors={}))).warnings
    said = "stitcherd.toml has no [executors.smith]: its jobs are denied until there is one"
    assert (warning.line, warning.column, warning.message) == (5, 15, said)


def test_what_is_held_loads() -> None:
    assert parse_rails(TEXT, CONTEXT._replace(facts=facts())).warnings == ()
    tools = TEXT.replace("sandbox: none", "tools: [read]")
    assert parse_rails(tools, CONTEXT._replace(facts=facts())).profiles["careful"].tools == ("read",)


def test_a_budget_that_an_executor_does_not_report_against_is_warned_of() -> None:
    found = parse_rails(
        TEXT, CONTEXT._replace(facts=facts(executors={"smith": ExecutorFacts(), "other": ExecutorFacts()}))
    ).warnings
    said = "does not count what agents of executor smith use: it does not report that"
    assert [(it.line, it.column, it.message) for it in found] == [
        (9, 19, f"per_job {said}"),
        (9, 38, f"per_day {said}"),
    ]
    unused = TEXT.replace("  look: {profile: careful}\n", "  {}\n").replace("jobs:\n  {}", "jobs: {}")
    assert parse_rails(unused, CONTEXT._replace(facts=facts(executors={"smith": ExecutorFacts()}))).warnings == ()
