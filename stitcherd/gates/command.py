"""Runs any program as a gate: exit code 0 passes if the output is as expected, everything else fails."""

from collections.abc import Sequence

from stitcherd import processes
from stitcherd.gates.base import GateResult, Write
from stitcherd.gates.expected_output import OutputTail, missing_output
from stitcherd.processes import RunCommand


async def run_command_gate(
    run: RunCommand,
    argv: Sequence[str],
    *,
    timeout: float | None,  # noqa: ASYNC109 (a gate's own limit, which is a result and not an error)
    write: Write,
    retries: int = 0,
    expect: str | None = None,
) -> GateResult:
    """Run the command of a gate, and again up to `retries` times while it fails.

    `timeout` is in seconds, for each run. The checkout is not restored between the runs. `expect` is a pattern that the
    end of a run's output must match.
    """
    reason = ""
    code = None
    for number in range(1, retries + 2):
        if number > 1:
            write(f"\nstitcher: {reason} Run {number} of {retries + 1}.\n".encode())
        tail = OutputTail()
        try:
            ended = await run(argv, timeout=timeout, write=_both(write, tail.write) if expect else write)
        except processes.CannotStart as error:
            return GateResult(ok=False, reason=str(error), cannot_start=True)
        code = ended.code
        missing = await missing_output(expect, tail.data) if expect and ended.ok else None
        if ended.ok and missing is None:
            reason = f"The gate passed in run {number} after: {reason}" if number > 1 else "The gate passed."
            return GateResult(ok=True, reason=reason, exit_code=0, flaky=number > 1)
        if ended.timed_out:
            reason = f"The gate was still running after {timeout:g} s and was ended."
        elif missing is not None:
            reason = f"The gate ended with exit code 0, but {missing}."
            write(f"\nstitcher: {reason}\n".encode())
        else:
            reason = f"The gate {ended}."
    return GateResult(ok=False, reason=reason, exit_code=code)


def _both(first: Write, second: Write) -> Write:
    def write(data: bytes) -> None:
        first(data)
        second(data)

    return write
