"""The gate that is any program: exit code 0 passes, everything else does not."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stitcherd import processes
from stitcherd.gates.base import GateResult


async def run_command_gate(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float | None,  # noqa: ASYNC109 (a gate's own limit, which is a verdict and not an error)
    retries: int,
    write: Callable[[bytes], None],
    job_id: str,
    root: Path,
    watch: processes.LimitWatch | None = None,
) -> GateResult:
    """Run a gate in a checkout of the commit, again up to `retries` times while it fails.

    `timeout` is in seconds and for each run. The checkout is not put back between the runs.
    """
    reason = ""
    code = None
    for run in range(retries + 1):
        if run:
            write(f"\nstitcher: {reason} Run {run + 1} of {retries + 1}.\n".encode())
        try:
            ended = await processes.run(
                argv, cwd=cwd, env=env, timeout=timeout, write=write, job_id=job_id, root=root, watch=watch
            )
        except processes.CannotStart as fault:
            return GateResult(ok=False, reason=str(fault))
        code = ended.code
        if ended.ok:
            reason = f"The gate passed in run {run + 1} after: {reason}" if run else "The gate passed."
            return GateResult(ok=True, reason=reason, exit_code=0, flaky=run > 0)
        if ended.timed_out:
            reason = f"The gate was still running after {timeout:g} s and was ended."
        else:
            reason = f"The gate {ended}."
    return GateResult(ok=False, reason=reason, exit_code=code)
