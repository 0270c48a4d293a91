"""Runs any program as a gate: exit code 0 passes, everything else fails."""

from collections.abc import Sequence

from stitcherd import processes
from stitcherd.gates.base import GateResult, Write
from stitcherd.processes import RunCommand


async def run_command_gate(
    run: RunCommand,
    argv: Sequence[str],
    *,
    timeout: float | None,  # noqa: ASYNC109 (a gate's own limit, which is a result and not an error)
    write: Write,
    retries: int = 0,
) -> GateResult:
    """Run the command of a gate, and again up to `retries` times while it fails.

    `timeout` is in seconds, for each run. The checkout is not restored between the runs.
    """
    reason = ""
    code = None
    for number in range(1, retries + 2):
        if number > 1:
            write(f"\nstitcher: {reason} Run {number} of {retries + 1}.\n".encode())
        try:
            ended = await run(argv, timeout=timeout, write=write)
        except processes.CannotStart as error:
            return GateResult(ok=False, reason=str(error))
        code = ended.code
        if ended.ok:
            reason = f"The gate passed in run {number} after: {reason}" if number > 1 else "The gate passed."
            return GateResult(ok=True, reason=reason, exit_code=0, flaky=number > 1)
        if ended.timed_out:
            reason = f"The gate was still running after {timeout:g} s and was ended."
        else:
            reason = f"The gate {ended}."
    return GateResult(ok=False, reason=reason, exit_code=code)
