"""Tests the gate diff-rules on real commits: its findings, its output and its limits."""

import pytest
from msgspec import structs

from stitcherd.gates import diff_rules, run_builtin_gate
from stitcherd.gates.base import GateInput, GateResult
from stitcherd.git.checkout import Checkout
from stitcherd.git.work_tree import commit_work_tree
from stitcherd.rails.compiled import GateRule
from stitcherd.rails.load import parse_rails
from tests.stitcherd.gates.conftest import Start, Write, start_from_change
from tests.stitcherd.rails.contexts import CONTEXT

PATHS = """\
version: 1
paths: {protected: [.github/**], tests: {globs: [tests/**], may: add, on_edit: deny}, max_diff: {files: 5, lines: 50}}
gates: {scope: {builtin: diff-rules}}
"""
RULE = parse_rails(PATHS, CONTEXT).gates["scope"]
BASE = {"a.py": "a\n", ".github/ci.yml": "on: push\n", "tests/test_a.py": "assert a\n", "run.sh": "x\n"}


async def check(checkout: Checkout, rule: GateRule = RULE) -> tuple[GateResult, list[str]]:
    output = bytearray()
    result = await run_builtin_gate(
        GateInput(checkout, await commit_work_tree(checkout, "x"), rule, bytes), output.extend
    )
    return result, output.decode().splitlines()


async def test_a_change_within_the_rules_passes(start: Start, write: Write) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"a.py": "a\nb\n", "tests/test_b.py": "def test_b():\n    assert b\n"})
    result, output = await check(checkout)
    assert result == GateResult(ok=True, reason="The change breaks no rule.")
    assert output == ["+3 -0 in 2 files"]


async def test_no_change_passes(start: Start) -> None:
    assert (await check(await start(BASE)))[0] == GateResult(ok=True, reason="There is no change to check.")


async def test_every_finding_is_printed_with_its_place(start: Start, write: Write) -> None:
    checkout = await start(BASE)
    token = "ghp_" + "aZ3kq9Xw" * 5
    write(checkout.work, {"a.py": f"a\nx = '{token}'\n", ".github/ci.yml": None, "l": "-> /etc", "b": b"\0"})
    write(checkout.work, {"moved.yml": BASE[".github/ci.yml"], "tests/test_a.py": "pass\n"})
    (checkout.work / "run.sh").chmod(0o755)
    result, output = await check(checkout)
    rules = "max_diff, protected, secret, binary, symlink, mode, tests, weakened"
    assert result == GateResult(ok=False, reason=f"The change breaks the rules, 8 times: {rules}.")
    assert output[1:] == [
        ".: max_diff: 6 files are changed, and the rails allow 5",
        ".github/ci.yml: protected: the rails protect this path, and it is deleted",
        "a.py:2: secret: a GitHub token is written here",
        "b: binary: the file is not text, so nobody can review it",
        "l: symlink: a symbolic link to '/etc' is added; links are made by people",
        "run.sh: mode: the mode of the file goes from 644 to 755",
        "tests/test_a.py: tests: a test is changed, and the rails let only people edit it",
        "tests/test_a.py:1: weakened: the tests have fewer assertions, by 1; one was removed here",
    ]
    assert token not in "".join(output)


async def test_a_note_fails_nothing(start: Start, write: Write) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"tool.sh": "x\n"})
    (checkout.work / "tool.sh").chmod(0o755)
    result, output = await check(checkout)
    assert result.ok
    assert output[1:] == ["tool.sh: note: mode: the new file is executable"]


async def test_a_long_list_of_findings_is_cut(start: Start, write: Write) -> None:
    checkout = await start(BASE)
    write(checkout.work, {f".github/{at}": "x\n" for at in range(150)})
    result, output = await check(checkout)
    assert result.reason == "The change breaks the rules, 152 times: max_diff, protected."
    assert (len(output), output[-1]) == (102, "and 52 more")


async def test_a_patch_larger_than_the_limit_is_not_read(
    start: Start, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_rules, "PATCH_MAX", 2**20)
    checkout = await start(BASE)
    write(checkout.work, {"big": ("x" * 79 + "\n") * 20_000})
    result, output = await check(checkout)
    assert not result.ok
    assert result.reason == "The change could not be read: it is 1 MiB long, and at most 1 MiB are read"
    assert output == []


async def test_a_timeout_fails_the_gate(start: Start, write: Write) -> None:
    checkout = await start(BASE)
    write(checkout.work, {"a.py": "b\n"})
    result, _ = await check(checkout, structs.replace(RULE, timeout=0.001))
    assert result == GateResult(ok=False, reason="The gate was still running after 0.001 s and was ended.")


async def test_edited_tests_ask_for_approval_if_nothing_else_is_found(start: Start, write: Write) -> None:
    asking = parse_rails(PATHS.replace("on_edit: deny", "on_edit: require-approval"), CONTEXT).gates["scope"]
    checkout = await start(BASE)
    write(checkout.work, {"tests/test_a.py": "assert a\nassert b\n"})
    result, output = await check(checkout, asking)
    reason = "The change edits tests, and waits for a person's approval."
    assert result == GateResult(ok=True, reason=reason, asks=("paths.tests",))
    assert output[1:] == ["tests/test_a.py: tests: a test is changed, and the rails require the approval of a person"]
    write(checkout.work, {"conftest.py": "x\n"})
    result, _ = await check(checkout, asking)
    reason = "The change edits tests and files that decide gates, and waits for a person's approval."
    assert result == GateResult(ok=True, reason=reason, asks=("paths.tests", "paths.gates"))
    write(checkout.work, {"l": "-> /etc"})
    result, _ = await check(checkout, asking)
    assert (result.ok, result.asks, result.reason) == (False, (), "The change breaks the rules, 1 times: symlink.")


MODULES = """\
version: 1
paths: {gates: {on_edit: allow}}
gates:
  scope: {builtin: diff-rules}
  own: {run: [python, -m, acme.check]}
  unit: {run: [python, -m, pytest, tests]}
"""


@pytest.mark.parametrize(
    ("base", "shadows"),
    [
        ({"a.py": "a\n"}, ["acme", "pytest"]),
        ({"acme/__init__.py": ""}, ["pytest"]),
        ({"src/acme/__init__.py": ""}, ["pytest"]),
        ({"acme.py": ""}, ["pytest"]),
        ({"acme": "a file\n", "lib/acme/x.py": ""}, ["acme", "pytest"]),
    ],
)
async def test_a_module_that_the_base_has_is_not_shadowed(
    start: Start, write: Write, base: dict[str, str], shadows: list[str]
) -> None:
    checkout = await start(base)
    write(checkout.work, {"src/acme/new.py": "x\n", "pytest/__init__.py": "x\n"})
    _, output = await check(checkout, parse_rails(MODULES, CONTEXT).gates["scope"])
    found = [line.partition(": shadow: a gate runs ")[2] for line in output if ": shadow: " in line]
    assert sorted(each.partition(",")[0] for each in found) == shadows


async def test_files_that_decide_gates_are_compared_with_the_gate_base(start: Start, write: Write) -> None:
    theirs = {"Makefile": "x\n", "tests/test_a.py": "b\n", "a.py": "c\n", ".gitattributes": "* -text\n"}
    checkout = await start_from_change(await start(BASE), theirs)
    write(checkout.work, {"a.py": "d\n"})
    result, output = await check(checkout)
    assert result.asks == ("paths.gates",)
    compared = "added in comparison with the target branch, and the rails require the approval of a person"
    assert output == [
        "+1 -1 in 1 file",
        f".gitattributes: gates: git attributes change what every gate reads; these are {compared}",
        f"Makefile: gates: gates or tools load this file by its name; it is {compared}",
    ]
    write(checkout.work, {"Makefile": None, ".gitattributes": None})
    result, output = await check(checkout)
    assert (result.ok, result.asks) == (False, ()), "as in the target again, but people set attributes"
    assert [line.partition("; ")[0] for line in output[1:]] == [
        ".gitattributes: attributes: git attributes are deleted"
    ]


async def test_a_module_that_a_change_put_in_the_place_of_another_is_found(start: Start, write: Write) -> None:
    text = PATHS.replace("gates: {", "gates: {unit: {run: [python, -m, pytest]}, ")
    checkout = await start_from_change(await start(BASE), {"pytest.py": "x\n"})
    write(checkout.work, {"a.py": "d\n"})
    result, output = await check(checkout, parse_rails(text, CONTEXT).gates["scope"])
    assert not result.ok
    assert "pytest.py: shadow: a gate runs pytest, and would run this file in its place" in output
