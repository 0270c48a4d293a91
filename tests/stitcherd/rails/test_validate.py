"""What executors cannot hold an agent to is an error at its place; what they do not report is a warning."""

from typing import Any

import pytest

from stitcherd.rails.load import RailsError, parse_rails
from stitcherd.rails.requirements import RuntimeFacts

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


def facts(**more: Any) -> RuntimeFacts:
    usual: dict[str, Any] = {"executors": {"smith": None, "far": "executor far is a gateway on another machine"}}
    return RuntimeFacts(**usual | more)


@pytest.mark.parametrize(
    ("old", "new", "more", "line", "column", "message"),
    [
        ("smith", "smit", {}, 5, 15, "executor smit is in no [executors.smit] of stitcherd.toml (did you mean smith?)"),
        ("smith", "nobody", {}, 5, 15, "executor nobody is in no [executors.nobody] of stitcherd.toml"),
        ("smith", "far", {}, 5, 15, "executor far is a gateway on another machine"),
        (
            "sandbox: none",
            "tools: [read]",
            {"toolless": frozenset({"smith"})},
            6,
            5,
            "executor smith cannot hold an agent to the tools of profile careful: take tools out of profile careful",
        ),
        (
            "none",
            "bwrap",
            {"unboxed": frozenset({"smith"})},
            6,
            5,
            "executor smith runs its agents where sandbox bwrap does not reach: take sandbox out of profile careful",
        ),
        (
            "none",
            "none",
            {"objection": lambda _: "no such tool"},
            5,
            15,
            "executor smith cannot hold an agent to profile careful: no such tool",
        ),
    ],
)
def test_what_nothing_holds_does_not_load(
    old: str, new: str, more: dict[str, Any], line: int, column: int, message: str
) -> None:
    text = TEXT.replace(old, new)
    assert parse_rails(text).text == text, "without a house it is only read"
    with pytest.raises(RailsError) as refused:
        parse_rails(text, facts=facts(**more))
    assert (refused.value.line, refused.value.column, refused.value.message) == (line, column, message)


def test_a_house_where_nothing_is_set_up_yet_is_only_warned_of() -> None:
    (warning,) = parse_rails(TEXT, facts=facts(executors={})).warnings
    said = "executor smith is in no [executors.smith] of stitcherd.toml: its jobs are denied until there is one"
    assert (warning.line, warning.column, warning.message) == (5, 15, said)


def test_what_is_held_loads() -> None:
    assert parse_rails(TEXT, facts=facts()).warnings == ()
    tools = TEXT.replace("sandbox: none", "tools: [read]")
    assert parse_rails(tools, facts=facts()).profiles["careful"].tools == ("read",)


def test_a_budget_that_an_executor_does_not_report_against_is_warned_of() -> None:
    found = parse_rails(TEXT, facts=facts(unmetered=frozenset({"smith", "other"}))).warnings
    said = "does not count what agents of executor smith use: it does not report that"
    assert [(it.line, it.column, it.message) for it in found] == [
        (9, 19, f"per_job {said}"),
        (9, 38, f"per_day {said}"),
    ]
    unused = TEXT.replace("  look: {profile: careful}\n", "  {}\n").replace("jobs:\n  {}", "jobs: {}")
    assert parse_rails(unused, facts=facts(unmetered=frozenset({"smith"}))).warnings == ()
