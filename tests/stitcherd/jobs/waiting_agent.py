"""An executor that waits for a test to say how its work ends."""

import asyncio
from collections.abc import Callable, Collection
from typing import Self

from shared.models import Failure
from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.base import (
    ExecutionResult,
    Executor,
    ExecutorHealth,
    ExecutorUnavailable,
    OutputSink,
    ProfileConstraints,
    Task,
)

LOST = Failure("interrupted", "its end is not known")
FAILED = Failure("executor_failed", "it failed")
Start = tuple[str, int, int]  # job, attempt, try


class WaitingAgent(Executor):
    """An executor that works until the test says how it ends; `away` before the start of a task."""

    def __init__(self, is_dead: Callable[[], bool], note_start: Callable[[Start], None]) -> None:
        self.is_dead = is_dead
        self.note_start = note_start
        self.away = False
        self.working: dict[str, asyncio.Future[str]] = {}  # by job: how its try is to end
        self.moved = asyncio.Event()  # set when a task has begun

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        raise NotImplementedError

    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        raise NotImplementedError

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        if self.away:
            raise ExecutorUnavailable("no route to host")
        if not self.is_dead():
            self.note_start((task.job_id, task.attempt, task.number))
        ending = self.working[task.job_id] = asyncio.get_running_loop().create_future()
        self.moved.set()
        sink.write(b"working\n")
        try:
            return _work(task, await ending)
        finally:
            self.working.pop(task.job_id, None)


def _work(task: Task, ending: str) -> ExecutionResult:
    """Do what an agent of a kind does to its work tree."""
    workflow = task.cwd / ".github" / "ci.yml"
    workflow.unlink(missing_ok=True)
    match ending:
        case "change":
            (task.cwd / "fix.txt").write_text(f"{task.job_id} {task.attempt} {task.number}\n")
        case "change tests":
            (task.cwd / "tests").mkdir(exist_ok=True)
            (task.cwd / "tests" / "test_a.py").write_text(f"assert {task.attempt}\n")
        case "change what is protected":
            workflow.parent.mkdir(exist_ok=True)
            workflow.write_text("on: push\n")
        case "fail":
            return ExecutionResult(1, FAILED)
        case "be lost":
            return ExecutionResult(failure=LOST)
    return ExecutionResult(0)
