"""stitcherd with an executor that does nothing: measures the cost of a job without its work."""

import sys

from stitcherd.__main__ import main
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.command import CommandExecutor


async def run_nothing(self: CommandExecutor, task: Task, sink: OutputSink) -> ExecutionResult:  # noqa: ARG001
    return ExecutionResult(0)


if __name__ == "__main__":
    CommandExecutor.run = run_nothing  # type: ignore[method-assign]
    sys.exit(main())
