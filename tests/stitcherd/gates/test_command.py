"""Command gates: which exit passes, what is retried, and the reason that is given."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from stitcherd.gates.base import GateResult
from stitcherd.gates.command import run_command_gate
from stitcherd.jobs.command_runner import CommandRunner


class CommandGate:
    """Runs commands of a job as its gates, and keeps their output."""

    def __init__(self, root: Path) -> None:
        self.output = bytearray()
        self._commands = CommandRunner(job_id=root.name, attempt=1, root=root, cwd=root, tmp=root, environ=os.environ)

    async def run(self, argv: Sequence[str], *, retries: int = 0, seconds: float = 10.0) -> GateResult:
        return await run_command_gate(
            self._commands.run, argv, timeout=seconds, write=self.output.extend, retries=retries
        )


@pytest.fixture
def gate(tmp_path: Path) -> CommandGate:
    return CommandGate(tmp_path)


async def test_exit_code_zero_passes(gate: CommandGate) -> None:
    assert await gate.run(["echo", "fine"], retries=2) == GateResult(ok=True, reason="The gate passed.", exit_code=0)
    assert gate.output == b"fine\n"


async def test_any_other_code_fails_after_all_runs(gate: CommandGate) -> None:
    result = await gate.run(["sh", "-c", "echo no; exit 2"], retries=1)
    assert result == GateResult(ok=False, reason="The gate ended with exit code 2.", exit_code=2)
    assert gate.output == b"no\n\nstitcher: The gate ended with exit code 2. Run 2 of 2.\nno\n"


async def test_a_command_that_passes_only_when_retried_is_flaky(gate: CommandGate) -> None:
    result = await gate.run(["sh", "-c", "test -e seen || { touch seen; exit 1; }"], retries=3)
    assert result.ok
    assert result.flaky
    assert result.reason == "The gate passed in run 2 after: The gate ended with exit code 1."


async def test_a_command_that_times_out_fails_even_if_it_exits_with_zero_on_sigterm(gate: CommandGate) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.02; done"
    result = await gate.run(["sh", "-c", script], seconds=0.3)
    assert result == GateResult(ok=False, reason="The gate was still running after 0.3 s and was ended.", exit_code=0)


async def test_a_command_that_cannot_start_is_not_retried(gate: CommandGate) -> None:
    result = await gate.run(["no-such-gate"], retries=5)
    assert result == GateResult(ok=False, reason="no-such-gate cannot be started: there is no such program.")
    assert gate.output == b""
