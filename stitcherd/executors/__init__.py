"""What an executor is: the one who does a job's work, handed a task and asked for its outcome."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from shared.models import Failure, Usage


class Task(Struct, frozen=True, kw_only=True):
    """One try of one attempt of a job; `number` is the try, from 1, and `timeout` is in seconds."""

    job_id: str
    attempt: int
    number: int
    prompt: str
    cwd: Path  # the work tree
    tmp: Path
    root: Path  # the job's own directory: whatever runs below it is the job's
    env: Mapping[str, str]  # whole: nothing else reaches the executor
    timeout: float | None


class Outcome(Struct, frozen=True):
    """How a try ended, by the executor's own account, which counts for nothing until the gates agree."""

    exit_code: int | None = None  # negative: ended by that signal
    failure: Failure | None = None
    usage: Usage | None = None

    @property
    def ok(self) -> bool:
        """Whether the executor came to its own end without a failure."""
        return self.failure is None


class Executor(Protocol):
    """Does the work of a task; when cancelled, it ends everything that it started before it lets go."""

    async def run(self, task: Task, say: Callable[[bytes], None]) -> Outcome:
        """Do the task and hand each piece of output to `say` as it comes."""
        ...
