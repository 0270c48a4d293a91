"""The executor that is any program: the prompt on its stdin, the checkout as its working directory."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from msgspec import Struct

from shared.models import Failure
from stitcherd import processes
from stitcherd.executors.base import INTERRUPTED, ExecutionResult, ExecutorHealth, OutputSink, ProfileConstraints, Task


class CommandExecutor(Struct, frozen=True):
    """Runs `argv` for each try."""

    argv: Sequence[str]
    resumable: ClassVar[bool] = False

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Run the program; failures are `executor_cannot_start`, `executor_timeout` and `executor_failed`."""
        try:
            ended = await task.run_command(
                self.argv, stdin=task.prompt.encode(errors="replace"), timeout=task.timeout, write=sink.write
            )
        except processes.CannotStart as fault:
            return ExecutionResult(failure=Failure("executor_cannot_start", str(fault)))
        if ended.timed_out:
            detail = f"The executor was still running after {task.timeout:g} s and was ended."
            return ExecutionResult(ended.code, Failure("executor_timeout", detail))
        if not ended.ok:
            return ExecutionResult(ended.code, Failure("executor_failed", f"The executor {ended}."))
        return ExecutionResult(0)

    async def resume(self, _task: Task, _reference: dict[str, str], _sink: OutputSink) -> ExecutionResult:
        """Return that nothing is known: what an earlier daemon started was ended with it."""
        return ExecutionResult(failure=Failure(INTERRUPTED, "The program was ended with the daemon that started it."))

    async def terminate(self, _reference: dict[str, str]) -> None:
        """Do nothing: what an earlier daemon started was ended with it."""

    def detach(self) -> None:
        """Do nothing: a child cannot be left to the next daemon."""

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Say what it starts; whether that is there shows when a sandbox has been put around it."""
        return ExecutorHealth(ok=True, detail=f"starts {self.argv[0]}")
