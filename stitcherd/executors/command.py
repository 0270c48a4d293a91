"""Runs any program as an executor: the prompt on its stdin, the checkout as its working directory."""

from collections.abc import Collection, Sequence
from typing import Self

from shared.models import Failure
from stitcherd import processes
from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.base import (
    INTERRUPTED,
    ExecutionResult,
    Executor,
    ExecutorHealth,
    OutputSink,
    ProfileConstraints,
    Task,
)


class CommandExecutor(Executor):
    """Runs `argv` once for each try."""

    sandboxable = True
    required_keys = frozenset({"argv"})

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = argv

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        """Return the executor of an [executors.NAME] table."""
        return cls(settings.argv)

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Run the program; failures are `executor_cannot_start`, `executor_timeout` and `executor_failed`."""
        try:
            ended = await task.run_command(
                self._argv, stdin=task.prompt.encode(errors="replace"), timeout=task.timeout, write=sink.write
            )
        except processes.CannotStart as error:
            return ExecutionResult(failure=Failure("executor_cannot_start", str(error)))
        if ended.timed_out:
            detail = f"The executor was still running after {task.timeout:g} s and was ended."
            return ExecutionResult(ended.code, Failure("executor_timeout", detail))
        if not ended.ok:
            return ExecutionResult(ended.code, Failure("executor_failed", f"The executor {ended}."))
        return ExecutionResult(0)

    async def resume(self, _task: Task, _reference: dict[str, str], _sink: OutputSink) -> ExecutionResult:
        """Return INTERRUPTED: a child process does not outlive its daemon."""
        return ExecutionResult(failure=Failure(INTERRUPTED, "The program was ended with the daemon that started it."))

    async def terminate(self, _reference: dict[str, str]) -> None:
        """Do nothing: a child process does not outlive its daemon."""

    def detach(self) -> None:
        """Do nothing: a child process cannot be resumed by the next daemon."""

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Return what the executor starts; whether the program exists is only known inside its sandbox."""
        return ExecutorHealth(ok=True, detail=f"starts {self._argv[0]}")
