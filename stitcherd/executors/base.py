"""The protocol between a job's attempt and its executor."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from shared.models import Failure, Usage
from stitcherd.budget import Budget
from stitcherd.processes import RunCommand


class ProfileConstraints(Protocol):
    """A profile, as far as an executor could hold an agent to it; `tools` are as in the rails."""

    @property
    def capabilities(self) -> frozenset[str]: ...  # noqa: D102 (see the class)
    @property
    def tools(self) -> tuple[str, ...] | None: ...  # noqa: D102
    @property
    def sandbox(self) -> str: ...  # noqa: D102


class AgentProfile(Struct, frozen=True, kw_only=True):
    """What a task's agent may do; who cannot hold it to all of this does not start it.

    `tools` are as in the rails, None where none are named.
    """

    name: str
    capabilities: frozenset[str] = frozenset()
    tools: tuple[str, ...] | None = None
    model: str | None = None
    sandbox: str = "none"
    budget: Budget = Budget()


class Task(Struct, frozen=True, kw_only=True):
    """One try of one attempt of a job; `number` is the try, from 1, and `timeout` is in seconds."""

    job_id: str
    attempt: int
    number: int
    prompt: str
    cwd: Path  # the work tree
    timeout: float | None
    run_command: RunCommand  # in `cwd`, in the task's sandbox and environment
    profile: AgentProfile | None = None  # for an executor that can hold an agent to it


class ExecutionResult(Struct, frozen=True):
    """How a try ended, by the executor's own account, which counts for nothing until the gates agree."""

    exit_code: int | None = None  # negative: ended by that signal
    failure: Failure | None = None
    usage: Usage | None = None

    @property
    def ok(self) -> bool:
        """Whether the executor came to its own end without a failure."""
        return self.failure is None


INTERRUPTED = "interrupted"  # the code of a failure that says nothing of the work, only that its end is not known


class ExecutorUnavailable(Exception):
    """The executor cannot be reached just now, and nothing of the task was started; the text says why."""


class ExecutorHealth(Struct, frozen=True):
    """Whether an executor can be used now; `detail` is why not, or what it is.

    `away` means that it may come back by itself: its jobs wait for it. `agents` says how many of the agents that the
    rails ask for are in place, and how many they are.
    """

    ok: bool
    detail: str
    away: bool = False
    version: str | None = None
    protocol: int | None = None
    agents: tuple[int, int] | None = None


class OutputSink(Protocol):
    """How an executor is heard while it works; what it says is durable once a coroutine of these returns."""

    def write(self, data: bytes, /) -> None:
        """Take a piece of output."""
        ...

    async def record_event(self, type_: str, payload: dict[str, Any], /) -> None:
        """Note an event of the step: `ai.tool_called`, `ai.tool_denied`."""
        ...

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None, /) -> None:
        """Add to what the job has used, and remember a new reference with it: both are kept, or neither."""
        ...

    async def save_reference(self, reference: dict[str, str], /) -> None:
        """Keep what is needed to find this try's run again after a crash of ours; call it before it starts."""
        ...


class Executor(Protocol):
    """Does the work of a task; when cancelled, it ends everything that it started before it lets go.

    One that `resumable` gives its sink a reference before anything of a task begins.
    """

    @property
    def resumable(self) -> bool: ...  # noqa: D102 (see the class)

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Do the task; may raise Unavailable."""
        ...

    async def resume(self, task: Task, reference: dict[str, str], sink: OutputSink) -> ExecutionResult:
        """Stay with a try that an earlier daemon began, to its end; nothing of it is started again.

        `reference` is what `remember` was last given. Where the end cannot be known the failure is INTERRUPTED, and
        nothing of the try runs any more.
        """
        ...

    async def terminate(self, reference: dict[str, str]) -> None:
        """End what an earlier daemon began; where this takes long it goes on behind."""
        ...

    def detach(self) -> None:
        """From now on, when cancelled, let run what could be resumed: this daemon stops, and the next one resumes."""
        ...

    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Say whether it can be used now, for agents of these profiles."""
        ...
