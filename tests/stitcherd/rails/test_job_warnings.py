"""Warnings of types of jobs whose commits the agent itself could make pass."""

import pytest

from stitcherd.gates import BUILTINS
from stitcherd.gates.base import BuiltinGate
from stitcherd.rails.load import parse_rails
from stitcherd.rails.validate import RailsContext
from tests.stitcherd.rails.contexts import CONTEXT

TEXT = """\
version: 1
profiles: {{p: {{capabilities: [repo:write, git:commit], executor: smith{profile}}}}}
jobs: {{mend: {{profile: p, needs: [{needs}], gates: [{gates}]}}}}
gates:
  scope: {{builtin: diff-rules{scope}}}
  unit: {{run: [make]{unit}}}
  lint: {{run: [ruff], required: false}}
"""
BOXED, SAFE = ", sandbox: bwrap", ", sandbox: bwrap, from_base: [Makefile]"
PATHS = "paths are not enforced for job mend: it has no required gate with builtin: diff-rules"
OWN = "gate unit of job mend runs what the agent may have written: give it from_base, or expect"
WRITE = "so job mend has none there: write sandbox: bwrap, or sandbox: none"
NONE = "job mend runs without a sandbox: its agent and its gates can do what the daemon's user can"


def warnings(
    *, needs: str = "repo:write", gates: str = "scope, unit", profile: str = BOXED, scope: str = "", unit: str = SAFE
) -> list[str]:
    text = TEXT.format(needs=needs, gates=gates, profile=profile, scope=scope, unit=unit)
    found = parse_rails(text, CONTEXT).warnings
    assert {(each.line, each.column) for each in found} <= {(3, 8)}
    return [each.message for each in found]


@pytest.mark.parametrize("needs", ["repo:write", "git:commit", "repo:write, git:commit"])
def test_a_job_that_writes_without_anything_has_each_warning(needs: str) -> None:
    found = warnings(needs=needs, gates="unit", profile="", unit="")
    assert found == [PATHS, OWN, f"profile p and gate unit set no sandbox, {WRITE}"]


def test_a_job_that_does_not_write_has_none() -> None:
    assert warnings(needs="", gates="unit", profile="", unit="") == []


@pytest.mark.parametrize(
    ("gates", "scope", "warned"),
    [("scope", "", False), ("unit, scope", "", False), ("unit", "", True), ("scope", ", required: false", True)],
)
def test_paths_must_be_enforced_by_a_required_gate(gates: str, scope: str, warned: bool) -> None:
    assert (PATHS in warnings(gates=gates, scope=scope)) is warned


@pytest.mark.parametrize(
    ("unit", "warned"),
    [
        ("", True),
        (", from_base: [Makefile]", False),
        (", expect: {output: OK}", False),
        (", required: false", False),
    ],
)
def test_a_gate_needs_something_that_the_agent_did_not_write(unit: str, warned: bool) -> None:
    assert (OWN in warnings(unit=f", sandbox: bwrap{unit}")) is warned


@pytest.mark.parametrize(
    ("profile", "unit", "message"),
    [
        ("", SAFE, f"profile p sets no sandbox, {WRITE}"),
        (BOXED, ", expect: {output: OK}", f"gate unit sets no sandbox, {WRITE}"),
        ("", ", expect: {output: OK}", f"profile p and gate unit set no sandbox, {WRITE}"),
        (", sandbox: none", ", expect: {output: OK}, sandbox: none", NONE),
        (", sandbox: none", SAFE, None),
        (BOXED, ", expect: {output: OK}, sandbox: none", None),
        (BOXED, SAFE, None),
    ],
)
def test_a_sandbox_must_be_set(profile: str, unit: str, message: str | None) -> None:
    assert warnings(profile=profile, unit=unit) == ([message] if message else [])


@pytest.mark.parametrize(("enforces", "warned"), [(True, False), (False, True)])
def test_only_a_gate_that_enforces_paths_silences_the_warning(enforces: bool, warned: bool) -> None:
    builtins = {**BUILTINS, "other": BuiltinGate(BUILTINS["diff-rules"].run, enforces_paths=enforces)}
    text = TEXT.format(needs="repo:write", gates="scope", profile=BOXED, scope="", unit="")
    assert bool(parse_rails(text.replace("diff-rules", "other"), RailsContext(builtins)).warnings) is warned
