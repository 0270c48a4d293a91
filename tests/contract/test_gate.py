"""What every built-in gate must do, run over each that there is."""

from pathlib import Path

import pytest
from msgspec import structs

from stitcherd import gates
from stitcherd.gates import BUILTINS, run_builtin_gate
from stitcherd.gates.base import BuiltinGate, GateInput, GateResult, Write
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree
from stitcherd.rails.compiled import GateRule
from stitcherd.rails.load import parse_rails
from tests.stitcherd.gates.conftest import git
from tests.stitcherd.rails.contexts import CONTEXT

RAILS = "version: 1\ngates: {scope: {builtin: diff-rules}}\n"


@pytest.fixture(params=sorted(BUILTINS))
def rule(request: pytest.FixtureRequest) -> GateRule:
    return structs.replace(parse_rails(RAILS, CONTEXT).gates["scope"], builtin=request.param)


@pytest.fixture
async def checkout(tmp_path: Path) -> Checkout:
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    git(origin, "commit", "-q", "--allow-empty", "-m", "x")
    checkouts = Checkouts(tmp_path / "state")
    await checkouts.mirror(str(origin)).fetch()
    return await checkouts.open(
        "job", 1, str(origin), await checkouts.mirror(str(origin)).resolve("main"), "stitcher/x"
    )


async def run(rule: GateRule, checkout: Checkout, commit: str | None) -> tuple[GateResult, bytes]:
    output = bytearray()
    return await run_builtin_gate(GateInput(checkout, commit, rule, bytes), output.extend), bytes(output)


async def test_it_passes_if_nothing_was_changed(rule: GateRule, checkout: Checkout) -> None:
    result, output = await run(rule, checkout, None)
    assert (result.ok, result.asks, result.flaky, result.exit_code) == (True, (), False, None)
    assert output


async def test_it_passes_a_harmless_change_with_a_reason_and_output(rule: GateRule, checkout: Checkout) -> None:
    (checkout.work / "README.md").write_text("# Title\n")
    result, output = await run(rule, checkout, await commit_work_tree(checkout, "x"))
    assert result.ok
    assert result.reason.endswith(".")
    assert output.endswith(b"\n")


async def test_it_fails_with_a_reason_when_its_time_is_over(rule: GateRule, checkout: Checkout) -> None:
    (checkout.work / "README.md").write_text("# Title\n")
    commit = await commit_work_tree(checkout, "x")
    result, _ = await run(structs.replace(rule, timeout=0.0), checkout, commit)
    assert result == GateResult(ok=False, reason="The gate was still running after 0 s and was ended.")


async def test_it_fails_with_a_reason_if_git_fails(rule: GateRule, checkout: Checkout) -> None:
    (checkout.work / "README.md").write_text("# Title\n")
    await commit_work_tree(checkout, "x")
    result, _ = await run(rule, checkout, "0" * 40)
    assert not result.ok
    assert result.reason.startswith("The change could not be read: ")


async def test_a_new_gate_is_one_line_of_the_table(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(gate_input: GateInput, write: Write) -> GateResult:
        write(b"checked\n")
        if gate_input.commit is not None:
            raise GitError("git is away.")
        return GateResult(ok=True, reason="It is fine.")

    monkeypatch.setattr(gates, "BUILTINS", {**BUILTINS, "new": BuiltinGate(check)})
    rule = structs.replace(parse_rails(RAILS, CONTEXT).gates["scope"], builtin="new")
    assert await run(rule, checkout, None) == (GateResult(ok=True, reason="It is fine."), b"checked\n")
    assert await run(rule, checkout, "x") == (
        GateResult(ok=False, reason="The change could not be read: git is away."),
        b"checked\n",
    )
    assert not gates.BUILTINS["new"].enforces_paths, "nothing is assumed of a new gate"
