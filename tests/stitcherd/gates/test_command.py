"""The gate that is a program: what passes, what is tried again, and what is said of it."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from stitcherd.gates.base import GateResult
from stitcherd.gates.command import run_command_gate


class Gate:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.output = bytearray()

    async def judge(self, argv: Sequence[str], *, retries: int = 0, seconds: float = 10.0) -> GateResult:
        return await run_command_gate(
            argv,
            cwd=self.root,
            env=dict(os.environ),
            timeout=seconds,
            retries=retries,
            write=self.output.extend,
            job_id=self.root.name,
            root=self.root,
        )


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


async def test_exit_code_zero_passes(gate: Gate) -> None:
    assert await gate.judge(["echo", "fine"], retries=2) == GateResult(ok=True, reason="The gate passed.", exit_code=0)
    assert gate.output == b"fine\n"


async def test_any_other_code_fails_after_all_runs(gate: Gate) -> None:
    result = await gate.judge(["sh", "-c", "echo no; exit 2"], retries=1)
    assert result == GateResult(ok=False, reason="The gate ended with exit code 2.", exit_code=2)
    assert gate.output == b"no\n\nstitcher: The gate ended with exit code 2. Run 2 of 2.\nno\n"


async def test_one_that_passes_only_when_asked_again_is_flaky(gate: Gate) -> None:
    result = await gate.judge(["sh", "-c", "test -e seen || { touch seen; exit 1; }"], retries=3)
    assert result.ok
    assert result.flaky
    assert result.reason == "The gate passed in run 2 after: The gate ended with exit code 1."


async def test_one_that_hangs_fails_even_if_it_ends_well_when_told_to(gate: Gate) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.02; done"
    result = await gate.judge(["sh", "-c", script], seconds=0.3)
    assert result == GateResult(ok=False, reason="The gate was still running after 0.3 s and was ended.", exit_code=0)


async def test_one_that_cannot_start_is_not_tried_again(gate: Gate) -> None:
    result = await gate.judge(["no-such-gate"], retries=5)
    assert result == GateResult(ok=False, reason="no-such-gate cannot be started: there is no such program.")
    assert gate.output == b""
