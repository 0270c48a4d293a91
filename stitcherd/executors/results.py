"""The results of runs that end in the same ways with every kind of executor."""

from shared.models import Failure
from stitcherd import processes
from stitcherd.executors.base import INTERRUPTED, ExecutionResult, ExecutorUnavailable


def failed(detail: str, code: int | None = None) -> ExecutionResult:
    """Return the result of a run whose agent did not finish, with its exit code if it has one."""
    return ExecutionResult(code, Failure("executor_failed", detail))


def timed_out(timeout: float | None, code: int | None = None) -> ExecutionResult:
    """Return the result of a run that exceeded its timeout, in seconds."""
    given = "was given" if timeout is None else f"{timeout:g} s"
    detail = f"The executor was still running after {given} and was ended."
    return ExecutionResult(code, Failure("executor_timeout", detail))


def over_budget(detail: str, code: int | None = None) -> ExecutionResult:
    """Return the result of a run that exceeded its budget."""
    return ExecutionResult(code, Failure("budget_exceeded", detail, "see limits.budget in rails.yaml"))


def interrupted(detail: str) -> ExecutionResult:
    """Return the result of a run whose end cannot be known."""
    return ExecutionResult(failure=Failure(INTERRUPTED, detail))


def cannot_start(error: processes.CannotStart) -> ExecutionResult:
    """Return the result of a run whose program could not be started; raise ExecutorUnavailable if it may be soon."""
    if isinstance(error, processes.CannotStartNow):
        raise ExecutorUnavailable(str(error)) from error
    return ExecutionResult(failure=Failure("executor_cannot_start", str(error)))


def result_of_exit(ended: processes.ExitStatus, timeout: float | None) -> ExecutionResult:
    """Return the result of a program by how it ended; `timeout` is that of the run, in seconds."""
    if ended.timed_out:
        return timed_out(timeout, ended.code)
    if ended.ok:
        return ExecutionResult(0)
    return failed(f"The executor {ended}.", ended.code)
