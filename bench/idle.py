"""stitcherd with an executor that does nothing at all: what a job costs besides what it is for."""

import sys

from stitcherd.__main__ import main
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.command import CommandExecutor


async def nothing(_self: CommandExecutor, _task: Task, _sink: OutputSink) -> ExecutionResult:
    return ExecutionResult(0)


if __name__ == "__main__":
    CommandExecutor.run = nothing
    sys.exit(main())
