"""The gate as a whole, on real commits: what it says, what it reads, and where it gives up."""

from typing import Any

import pytest

from stitcherd.gates import BUILTINS, diff_rules
from stitcherd.gates.base import GateResult
from stitcherd.gates.diff_rules import DiffRulesInput
from stitcherd.git.checkout import Checkout
from stitcherd.rails.load import parse_rails
from tests.stitcherd.rails.contexts import CONTEXT

PATHS = """\
version: 1
paths: {protected: [.github/**], tests: {globs: [tests/**], may: add, on_edit: deny}, max_diff: {files: 5, lines: 50}}
gates: {scope: {builtin: diff-rules}}
"""
TERMS = DiffRulesInput(parse_rails(PATHS, CONTEXT).gates["scope"].paths, 10.0, bytes)
BASE = {"a.py": "a\n", ".github/ci.yml": "on: push\n", "tests/test_a.py": "assert a\n", "run.sh": "x\n"}


async def judged(checkout: Checkout, terms: DiffRulesInput = TERMS) -> tuple[GateResult, list[str]]:
    said = bytearray()
    result = await BUILTINS["diff-rules"].run(checkout, await checkout.commit("x"), terms, said.extend)
    return result, said.decode().splitlines()


async def test_an_honest_change_passes(start: Any, write: Any) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"a.py": "a\nb\n", "tests/test_b.py": "def test_b():\n    assert b\n"})
    result, said = await judged(checkout)
    assert result == GateResult(ok=True, reason="The change breaks no rule.")
    assert said == ["2 files, 3 additions, 0 deletions"]


async def test_no_change_passes(start: Any) -> None:
    assert (await judged(await start(BASE)))[0] == GateResult(ok=True, reason="There is no change to judge.")


async def test_every_finding_is_said_with_its_place(start: Any, write: Any) -> None:
    checkout = await start(BASE)
    token = "ghp_" + "aZ3kq9Xw" * 5
    write(checkout.work, {"a.py": f"a\nx = '{token}'\n", ".github/ci.yml": None, "l": "-> /etc", "b": b"\0"})
    write(checkout.work, {"moved.yml": BASE[".github/ci.yml"], "tests/test_a.py": "pass\n"})
    (checkout.work / "run.sh").chmod(0o755)
    result, said = await judged(checkout)
    rules = "max_diff, protected, secret, binary, symlink, mode, tests, weakened"
    assert result == GateResult(ok=False, reason=f"The change breaks the rules, 8 times: {rules}.")
    assert said[1:] == [
        ".: max_diff: 6 files are changed, and the rails allow 5",
        ".github/ci.yml: protected: the rails protect this path, and it is deleted",
        "a.py:2: secret: a GitHub token is written here",
        "b: binary: the file is not text, so nobody can review it",
        "l: symlink: a symbolic link to '/etc' is added; links are made by people",
        "run.sh: mode: the mode of the file goes from 644 to 755",
        "tests/test_a.py: tests: a test is changed, and the rails let nobody but people edit it",
        "tests/test_a.py:1: weakened: the tests assert less, by 1: what stood here is gone",
    ]
    assert token not in "".join(said)


async def test_a_note_fails_nothing(start: Any, write: Any) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"tool.sh": "x\n"})
    (checkout.work / "tool.sh").chmod(0o755)
    result, said = await judged(checkout)
    assert result.ok
    assert said[1:] == ["tool.sh: note: mode: the new file is executable"]


async def test_many_findings_are_cut_for_the_reader(start: Any, write: Any) -> None:
    checkout = await start(BASE)
    write(checkout.work, {f".github/{at}": "x\n" for at in range(150)})
    result, said = await judged(checkout)
    assert result.reason == "The change breaks the rules, 152 times: max_diff, protected."
    assert (len(said), said[-1]) == (102, "and 52 more")


async def test_a_patch_beyond_the_limit_is_not_read(start: Any, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_rules, "PATCH_MAX", 2**20)
    checkout = await start(BASE)
    write(checkout.work, {"big": ("x" * 79 + "\n") * 20_000})
    result, said = await judged(checkout)
    assert not result.ok
    assert result.reason == "The change could not be read: it is 1 MiB long, and at most 1 MiB are read"
    assert said == []


async def test_time_runs_out(start: Any, write: Any) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"a.py": "b\n"})
    result, _ = await judged(checkout, DiffRulesInput(TERMS.paths, 0.001, bytes))
    assert result == GateResult(ok=False, reason="The gate was still running after 0.001 s and was ended.")


async def test_edited_tests_ask_for_a_person_where_nothing_else_is_wrong(start: Any, write: Any) -> None:
    asking = DiffRulesInput(
        parse_rails(PATHS.replace("on_edit: deny", "on_edit: require-approval"), CONTEXT).gates["scope"].paths,
        10.0,
        bytes,
    )
    checkout = await start(BASE)
    write(checkout.work, {"tests/test_a.py": "assert a\nassert b\n"})
    result, said = await judged(checkout, asking)
    reason = "The change edits tests, and waits for a person's approval."
    assert result == GateResult(ok=True, reason=reason, asks=True)
    assert said[1:] == ["tests/test_a.py: tests: a test is changed, and the rails want a person to approve of that"]
    write(checkout.work, {"l": "-> /etc"})
    result, _ = await judged(checkout, asking)
    assert (result.ok, result.asks, result.reason) == (False, False, "The change breaks the rules, 1 times: symlink.")
