"""Command gates: which exit passes, what is retried, and the reason that is given."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import pytest

from stitcherd.gates import expected_output
from stitcherd.gates.base import GateResult
from stitcherd.gates.command import run_command_gate
from stitcherd.jobs.command_runner import CommandRunner


class CommandGate:
    """Runs commands of a job as its gates, and keeps their output."""

    def __init__(self, root: Path) -> None:
        self.output = bytearray()
        self._commands = CommandRunner(job_id=root.name, attempt=1, root=root, cwd=root, tmp=root, environ=os.environ)

    async def run(
        self, argv: Sequence[str], *, retries: int = 0, seconds: float = 10.0, expect: str | None = None
    ) -> GateResult:
        return await run_command_gate(
            self._commands.run, argv, timeout=seconds, write=self.output.extend, retries=retries, expect=expect
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
    reason = "no-such-gate cannot be started: there is no such program."
    assert result == GateResult(ok=False, reason=reason, cannot_start=True)
    assert gate.output == b""


PASSED = "[1-9][0-9]* passed"


@pytest.mark.parametrize(
    ("script", "expect"),
    [
        ("echo 3 passed", PASSED),
        ("seq 30000; echo 3 passed", PASSED),
        ("echo 3 passed >&2", PASSED),
        ("printf 'OK\\r\\n'", "^OK$"),
        ("printf '\\033[32m\\033[1m3\\033[0m passed'", PASSED),
        ("echo Ran 3 tests; echo; echo OK", "^OK$"),
    ],
)
async def test_the_expected_output_passes(gate: CommandGate, script: str, expect: str) -> None:
    result = await gate.run(["sh", "-c", script], expect=expect)
    assert result == GateResult(ok=True, reason="The gate passed.", exit_code=0)


@pytest.mark.parametrize("script", ["true", "echo 0 passed", "echo no tests ran", "echo 3 passed; seq 30000"])
async def test_exit_code_zero_without_the_expected_output_fails(gate: CommandGate, script: str) -> None:
    result = await gate.run(["sh", "-c", script], expect=PASSED)
    reason = f"The gate ended with exit code 0, but its output has nothing like {PASSED!r}, which the rails expect."
    assert result == GateResult(ok=False, reason=reason, exit_code=0)
    assert gate.output.endswith(f"\nstitcher: {reason}\n".encode()), "the agent is told"


async def test_the_expected_output_does_not_excuse_an_exit_code(gate: CommandGate) -> None:
    result = await gate.run(["sh", "-c", "echo 3 passed; exit 1"], expect=PASSED)
    assert result == GateResult(ok=False, reason="The gate ended with exit code 1.", exit_code=1)


async def test_each_run_must_print_what_is_expected(gate: CommandGate) -> None:
    script = "test -e seen && exit 0; touch seen; echo 3 passed; exit 1"
    assert not (await gate.run(["sh", "-c", script], retries=1, expect=PASSED)).ok


async def test_a_pattern_that_takes_forever_fails_the_gate_and_holds_up_nothing(
    gate: CommandGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expected_output, "MATCH_TIMEOUT", 1.0)
    running = asyncio.create_task(gate.run(["sh", "-c", "printf '%060d' 0"], expect="(0+)+1"))
    longest, before = 0.0, monotonic()
    while not running.done():
        await asyncio.sleep(0.01)
        longest, before = max(longest, monotonic() - before), monotonic()
    assert "its output was not checked within 1 s against '(0+)+1'" in running.result().reason
    assert longest < 0.5
