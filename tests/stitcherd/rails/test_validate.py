"""Faults and warnings beyond the schema, each at its place."""

from pathlib import Path
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
def test_an_unenforceable_profile_does_not_load(
    old: str, new: str, more: dict[str, Any], line: int, column: int, message: str
) -> None:
    text = TEXT.replace(old, new)
    assert parse_rails(text, CONTEXT).text == text, "without a house it is only read"
    with pytest.raises(RailsError) as refused:
        parse_rails(text, CONTEXT._replace(facts=facts(**more)))
    assert (refused.value.line, refused.value.column, refused.value.message) == (line, column, message)


def test_without_any_executor_there_is_only_a_warning() -> None:
    (warning,) = parse_rails(TEXT, CONTEXT._replace(facts=facts(executors={}))).warnings
    said = "stitcherd.toml has no [executors.smith]: its jobs are denied until there is one"
    assert (warning.line, warning.column, warning.message) == (5, 15, said)


def test_an_enforceable_profile_loads() -> None:
    assert parse_rails(TEXT, CONTEXT._replace(facts=facts())).warnings == ()
    tools = TEXT.replace("sandbox: none", "tools: [read]")
    assert parse_rails(tools, CONTEXT._replace(facts=facts())).profiles["careful"].tools == ("read",)


def test_a_budget_without_usage_reports_is_warned_of() -> None:
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


def test_a_secret_is_not_passed_on(every_word: str) -> None:
    with pytest.raises(RailsError) as caught:
        parse_rails(every_word, CONTEXT._replace(secret_names=frozenset({"LANG_SERVER", "CI_SEED"})))
    assert [(each.line, each.column) for each in caught.value.faults] == [(12, 11), (68, 100)]
    assert caught.value.message == "LANG_SERVER is a secret of stitcherd.toml: no agent and no gate may have it"


def test_each_unsupported_key_has_a_warning_at_its_place(every_word: str) -> None:
    found = [(each.line, each.column, each.message.split()[0]) for each in parse_rails(every_word, CONTEXT).warnings]
    assert found == [
        (6, 12, "no"),
        (25, 3, "profile"),
        (70, 3, "acknowledge"),
        (71, 3, "thread"),
        (72, 3, "status"),
        (73, 3, "change"),
    ]


@pytest.mark.parametrize(
    ("asked", "place", "message"),
    [
        ("network: none", (3, 11), "network is enforced only in a sandbox: add sandbox: bwrap, or remove network"),
        ("processes: 9", (3, 11), "processes is enforced only in a sandbox: add sandbox: bwrap, or remove processes"),
        ("mounts: [/opt]", (3, 11), "mounts is enforced only in a sandbox: add sandbox: bwrap, or remove mounts"),
        (
            "sandbox: none, disk: 1GiB",
            (3, 26),
            "disk is enforced only in a sandbox: add sandbox: bwrap, or remove disk",
        ),
        ("sandbox: bwrap, mounts: [/opt, /srv]", (3, 42), "/srv would expose /srv/house, which no sandbox may see"),
        ("network: host", None, ""),
        ("sandbox: bwrap, network: none, mounts: [/opt], memory: 1GiB, processes: 9, disk: 1GiB", None, ""),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nprofiles:\n  quick: {{{}, executor: smith}}\n",
        "version: 1\ngates:\n  quick: {{{}, run: [make]}}\n",
    ],
)
def test_sandbox_limits_need_a_sandbox(text: str, asked: str, place: tuple[int, int] | None, message: str) -> None:
    if place is None:
        assert parse_rails(text.format(asked), CONTEXT._replace(private=[Path("/srv/house")])).warnings == ()
        return
    with pytest.raises(RailsError) as refused:
        parse_rails(text.format(asked), CONTEXT._replace(private=[Path("/srv/house")]))
    assert (refused.value.line, refused.value.column, refused.value.message) == (*place, message)


def test_a_built_in_gate_takes_no_sandbox() -> None:
    with pytest.raises(RailsError, match=r"1:\d+: the built-in gate diff-rules runs nothing from the commit"):
        parse_rails("{version: 1, gates: {scope: {builtin: diff-rules, sandbox: bwrap}}}", CONTEXT)


def test_members_of_unknown_sources_are_warned_of() -> None:
    text = TEXT + 'people:\n  team:\n    users: ["gitub:octocat", "github:hubot"]\n    sources: [mosaik]\n'
    context = CONTEXT._replace(sources=("github", "mosaic"))
    found = [str(warning.message) for warning in parse_rails(text, context).warnings]
    assert "unknown source 'gitub' (did you mean github?): it matches nobody" in found
    assert "unknown source 'mosaik' (did you mean mosaic?): it matches nobody" in found
    assert not any("matches nobody" in warning.message for warning in parse_rails(text, CONTEXT).warnings)
