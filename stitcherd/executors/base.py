"""The interface of an executor: the task that it is given, and the result, output and health that it reports."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from msgspec import Struct

from shared.models import Failure, Usage
from stitcherd.budget import Budget
from stitcherd.config.settings import ExecutorSettings
from stitcherd.processes import RunCommand

INTERRUPTED = "interrupted"  # the code of a failure that says nothing about the work, only that its end is unknown


class ExecutorUnavailable(Exception):
    """The executor cannot be reached at the moment, and nothing of the task was started; the text says why."""


class ProfileConstraints(Protocol):
    """The parts of a profile that an executor may have to enforce; `tools` has the syntax of rails.yaml."""

    @property
    def capabilities(self) -> frozenset[str]: ...  # noqa: D102 (see the class)
    @property
    def tools(self) -> tuple[str, ...] | None: ...  # noqa: D102
    @property
    def sandbox(self) -> str: ...  # noqa: D102


class AgentProfile(Struct, frozen=True, kw_only=True):
    """What the agent of a task may do; an executor that cannot enforce all of it does not start the agent.

    `tools` has the syntax of rails.yaml; None if the profile names no tools.
    """

    name: str
    capabilities: frozenset[str] = frozenset()
    tools: tuple[str, ...] | None = None
    model: str | None = None
    sandbox: str = "none"
    budget: Budget = Budget()


class PreviousTry(Struct, frozen=True):
    """The try before in the same attempt: the `reference` that its executor saved last, and the prompt after it.

    `follow_up` is a prompt for an agent that remembers that try: the output of the gates that failed, without the task.
    """

    reference: dict[str, str]
    follow_up: str


class Task(Struct, frozen=True, kw_only=True):
    """One try of one attempt of a job; `number` is the try, from 1, and `timeout` is in seconds.

    The tries of an attempt may be one session of the agent. An executor that can do this saves the session in the
    reference of each try, and resumes that of `previous` with its `follow_up`: it records `ai.session_resumed` with the
    `session`. Where the agent does not know that session any more, the same try begins a new one with `prompt`,
    which is whole, and `ai.session_lost` is recorded with the `session` and the `reason`. `previous` is None in the
    first try, after a try that saved no reference, and in the first try after a crash, which has a new checkout. An
    executor without sessions ignores it. `starts.resumable` alone says whether a run is found again after a crash: a
    reference does not.
    """

    job_id: str
    attempt: int
    number: int
    prompt: str
    previous: PreviousTry | None = None
    cwd: Path  # the work tree
    timeout: float | None
    run_command: RunCommand  # runs a command in `cwd`, with the environment and in the sandbox of the task
    profile: AgentProfile | None = None


class ExecutionResult(Struct, frozen=True):
    """How a try ended, as reported by the executor; only the gates decide whether the work is accepted."""

    exit_code: int | None = None  # negative: ended by that signal
    failure: Failure | None = None
    usage: Usage | None = None

    @property
    def ok(self) -> bool:
        """Whether the executor finished without a failure."""
        return self.failure is None


class ExecutorHealth(Struct, frozen=True):
    """Whether an executor can be used; `detail` is the reason if not, else a description.

    `away` means that the fault may pass without intervention: jobs of the executor are held until then. `agents` is
    how many of the agents that the rails need are configured, and how many there are in all.
    """

    ok: bool
    detail: str
    away: bool = False
    version: str | None = None
    protocol: int | None = None
    agents: tuple[int, int] | None = None


class OutputSink(Protocol):
    """Receives what an executor reports during a task; after a coroutine of it returns, the report is durable."""

    def write(self, data: bytes, /) -> None:
        """Append output."""
        ...

    def write_raw(self, data: bytes, /) -> None:
        """Append to the raw output: the messages of an agent that the output is made of, as it wrote them.

        One that carries a piece of a text is left out: redaction finds no secret that is spread over several messages.
        """
        ...

    def record_prompt(self, text: str, /) -> None:
        """Record a prompt that is about to be sent to the agent."""
        ...

    async def record_event(self, type_: str, payload: dict[str, Any], /) -> None:
        """Record an event of the step: of a tool, `ai.tool_called` or `ai.tool_denied`, or of a session, see Task."""
        ...

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None, /) -> None:
        """Add to the job's usage, and save a new reference in the same transaction."""
        ...

    async def save_reference(self, reference: dict[str, str], /) -> None:
        """Save what is needed to find the run of this try, or its session, again.

        An executor that is `resumable` calls it before the run starts.
        """
        ...


class Executor(ABC):
    """Does the work of a task; when cancelled, it ends everything that it started before it returns.

    Subclasses declare what they can enforce. All of it is False by default, so that nothing is assumed of a new kind.
    """

    resumable: ClassVar[bool] = False  # it saves a reference before anything of a task starts
    sandboxable: ClassVar[bool] = False  # its agents are our processes, so Stitcher's sandbox can contain them
    holds_tools: ClassVar[bool] = False  # it holds an agent to a list of tools
    metered: ClassVar[bool] = False  # it reports usage, and ends agents that exceed their budget
    required_keys: ClassVar[frozenset[str]] = frozenset()  # of [executors.NAME], beside `kind`
    optional_keys: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        """Return the executor of an [executors.NAME] table that has all required keys."""

    @classmethod
    def is_metered(cls, _settings: ExecutorSettings) -> bool:
        """Say whether the executor of a table reports all usage, and ends agents that exceed their budget."""
        return cls.metered

    @classmethod
    def can_hold_tools(cls, _settings: ExecutorSettings) -> bool:
        """Say whether the executor of a table holds its agents to a list of tools."""
        return cls.holds_tools

    @classmethod
    def unusable(cls, _settings: ExecutorSettings) -> str | None:
        """Return why the executor of a table cannot be used at all, or None."""
        return None

    @classmethod
    def objection(cls, _profile: ProfileConstraints) -> str | None:
        """Return what else of a profile cannot be enforced, or None; only what is known without asking anybody."""
        return None

    @abstractmethod
    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Do the task. Raises ExecutorUnavailable."""

    async def resume(self, _task: Task, _reference: dict[str, str], _sink: OutputSink) -> ExecutionResult:
        """Follow a try that an earlier daemon started to its end; nothing of it is started again.

        The reference is the last one saved. If the end cannot be known, the failure is INTERRUPTED, and nothing of the
        try is running any more: the agent of an executor that is not `resumable` was ended with its daemon.
        """
        return ExecutionResult(failure=Failure(INTERRUPTED, "The agent was ended with the daemon that started it."))

    async def terminate(self, _reference: dict[str, str]) -> None:  # noqa: B027 (most have nothing to end)
        """End what an earlier daemon started; if this takes long, continue in the background."""

    def detach(self) -> None:  # noqa: B027 (most have nothing that outlives the daemon)
        """From now on, do not end a resumable run on cancellation: the daemon is stopping, and the next one resumes."""

    @abstractmethod
    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Return whether the executor can be used now, for agents of these profiles."""
