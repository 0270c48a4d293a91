"""Runs an agent that speaks the Agent Client Protocol: one process and one session for each try."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Any, Self

from shared import VERSION
from stitcherd import processes
from stitcherd.config.settings import ExecutorSettings, PriceSettings
from stitcherd.executors.acp.updates import UpdateHandler, is_piece
from stitcherd.executors.acp.wire import (
    BEGIN_OF_PROMPT,
    END_OF_MESSAGES,
    AgentConnection,
    AgentLost,
    AgentRefused,
    Message,
)
from stitcherd.executors.base import (
    AgentProfile,
    ExecutionResult,
    Executor,
    ExecutorHealth,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.executors.results import cannot_start, failed, over_budget, timed_out
from stitcherd.executors.run_budget import RunBudgetExceeded
from stitcherd.executors.sessions import SavedReference, record_lost, record_resumed

PROTOCOL_VERSION = 1
CANCEL_SECONDS = 1.0  # for the answer to session/cancel, before the process is ended
EXIT_SECONDS = 1.0  # between the end of its stdin and its end
STDERR_MAX = 2000  # bytes of it in a failure
STDERR_LINES = 5
SESSION_COST_AGENTS = ("OpenCode",)  # by the name of `agentInfo`

_STOPPED = {
    "cancelled": "The agent cancelled the prompt by itself.",
    "refusal": "The agent refused to continue.",
    "max_tokens": "The agent reached the limit of tokens.",
    "max_turn_requests": "The agent reached its own limit of model calls.",
}


class AcpReference(SavedReference, frozen=True):
    """A session, and the cost in dollars that its agent has told in all."""

    session: str
    usd: float = 0.0


class AcpExecutor(Executor):
    """Runs `argv` once for each try; with `resume`, the tries of an attempt are one session."""

    sandboxable = True
    required_keys = frozenset({"argv"})
    optional_keys = frozenset({"resume", "prices"})

    def __init__(self, argv: Sequence[str], prices: PriceSettings | None = None, *, resume: bool = False) -> None:
        self._argv = argv
        self._prices = prices
        self._resume = resume

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        """Return the executor of an [executors.NAME] table."""
        return cls(settings.argv, settings.prices, resume=settings.resume)

    @classmethod
    def is_metered(cls, settings: ExecutorSettings) -> bool:
        """Say whether turns and dollars are counted: where the tokens that the agent tells have a price."""
        return settings.prices is not None

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Do the task.

        Failures are `executor_cannot_start`, `executor_timeout`, `executor_failed` and `budget_exceeded`.
        """
        run = AgentRun(self._argv, task, sink, self._prices, resume=self._resume)
        result = await run.run()
        if self._resume and result.ok:
            await sink.save_reference(run.reference.to_saved())
        return result

    async def health(self, _profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Return what the executor starts; whether the program exists is only known inside its sandbox."""
        return ExecutorHealth(ok=True, detail=f"starts {self._argv[0]}")


class AgentRun:
    """One process of an agent, from its start to its end."""

    def __init__(
        self, argv: Sequence[str], task: Task, sink: OutputSink, prices: PriceSettings | None, *, resume: bool
    ) -> None:
        self._argv = argv
        self._task = task
        self._sink = sink
        self._stderr = b""
        self._prompted = False
        self._session = ""
        self._previous = task.previous if resume else None
        self._connection = AgentConnection(self._write_raw, lambda line: sink.write(line + b"\n"))
        self._handler = UpdateHandler(sink, task.profile or AgentProfile(name=""), task.cwd, prices)

    @property
    def reference(self) -> AcpReference:
        """What the next try finds the session by."""
        return AcpReference(self._session, self._handler.usd)

    async def run(self) -> ExecutionResult:
        """Run the agent; when this returns or raises, none of its processes is running."""
        process = asyncio.create_task(self._run_process())
        conversation = asyncio.create_task(self._converse())
        try:
            await asyncio.wait({process, conversation}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({conversation})  # it ends with the process at the latest
            if conversation.exception() is None:
                self._connection.finish()
                await asyncio.wait({process}, timeout=EXIT_SECONDS)
        except asyncio.CancelledError:
            if self._session and not conversation.done():
                self._connection.notify("session/cancel", {"sessionId": self._session})
                await asyncio.wait({conversation}, timeout=CANCEL_SECONDS)
            raise
        finally:
            process.cancel()
            conversation.cancel()
            await asyncio.gather(process, conversation, return_exceptions=True)
        return self._result(process, conversation)

    def _result(
        self, process: asyncio.Task[processes.ExitStatus], conversation: asyncio.Task[ExecutionResult]
    ) -> ExecutionResult:
        try:
            return conversation.result()
        except RunBudgetExceeded as exceeded:
            return over_budget(str(exceeded))
        except AgentRefused as refused:
            return failed(f"The agent refused {refused}.")
        except AgentLost as lost:
            return self._lost_result(process, lost)

    def _lost_result(self, process: asyncio.Task[processes.ExitStatus], lost: AgentLost) -> ExecutionResult:
        """Return why the agent did not answer: as a rule because it ended."""
        if process.cancelled():
            return failed(f"The agent {lost}.")
        try:
            ended = process.result()
        except processes.CannotStart as error:
            return cannot_start(error)
        if ended.timed_out:
            return timed_out(self._task.timeout, ended.code)
        lines = self._stderr.decode(errors="replace").split("\n")
        last = " / ".join([line.strip() for line in lines if line.strip()][-STDERR_LINES:])
        detail = f"The agent {ended} before it answered" + (f": {last.rstrip('.')}." if last else ".")
        return failed(detail, ended.code)

    async def _run_process(self) -> processes.ExitStatus:
        try:
            return await self._task.run_command(
                self._argv,
                stdin=self._connection.open,
                timeout=self._task.timeout,
                write=self._connection.feed,
                write_error=self._write_stderr,
            )
        finally:
            self._connection.close("ended")

    def _write_raw(self, line: bytes, message: Message) -> None:
        if not is_piece(message.params):
            self._sink.write_raw(line + b"\n")

    def _write_stderr(self, data: bytes) -> None:
        self._sink.write(data)
        self._stderr = (self._stderr + data)[-STDERR_MAX:]

    async def _converse(self) -> ExecutionResult:
        """Send the prompt and handle what comes until its answer.

        Raises AgentLost, AgentRefused and RunBudgetExceeded.
        """
        asking = asyncio.create_task(self._prompt())
        asking.add_done_callback(lambda _: self._connection.end_messages())
        try:
            while (message := await self._connection.next_message()) is not END_OF_MESSAGES:
                if message is BEGIN_OF_PROMPT:
                    self._prompted = True
                else:
                    await self._handle(message)
            answer = await asking
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await self._handler.end(answer)
        reason = str(answer.get("stopReason"))
        if reason == "end_turn":
            return ExecutionResult(0)
        return failed(_STOPPED.get(reason, f"The agent stopped: {' '.join(reason.split())[:100]}."))

    async def _prompt(self) -> dict[str, Any]:
        """Open a session and return the answer to the prompt."""
        client: dict[str, Any] = {
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            "clientInfo": {"name": "stitcherd", "version": VERSION},
        }
        answer = await self._connection.request("initialize", client)
        version = answer.get("protocolVersion")
        if version != PROTOCOL_VERSION:
            raise AgentRefused(f"initialize: it speaks version {str(version)[:20]}, not {PROTOCOL_VERSION}")
        text = await self._resume_session(answer) or await self._new_session()
        self._connection.begin_prompt()
        await self._handler.begin()
        self._sink.record_prompt(text)
        said = text.encode(errors="replace").decode()
        prompt = {"sessionId": self._session, "prompt": [{"type": "text", "text": said}]}
        return await self._connection.request("session/prompt", prompt)

    async def _new_session(self) -> str:
        """Begin a session, and return the whole prompt."""
        opened = await self._connection.request("session/new", {"cwd": str(self._task.cwd), "mcpServers": []})
        session = opened.get("sessionId")
        if not isinstance(session, str) or not session:
            raise AgentRefused("session/new: its answer has no sessionId")
        self._session = session
        return self._task.prompt

    async def _resume_session(self, about: dict[str, Any]) -> str | None:
        """Resume the session of the try before and return the follow-up; None where that is not possible.

        `about` is what the agent has told of itself.
        """
        if self._previous is None:
            return None
        known = AcpReference.from_saved(self._previous.reference)
        where = {"sessionId": known.session, "cwd": str(self._task.cwd), "mcpServers": []}
        try:
            await self._connection.request(resume_method(about.get("agentCapabilities")), where)
        except AgentRefused as refused:
            await record_lost(self._sink, known.session, str(refused))
            return None
        self._session = known.session
        if tells_session_cost(about.get("agentInfo")):
            self._handler.usd = known.usd
        await record_resumed(self._sink, known.session)
        return self._previous.follow_up

    async def _handle(self, message: Message) -> None:
        is_request = isinstance(message.id, (int, str))
        if message.method == "session/update":
            if self._prompted:  # before, the agent repeats the conversation of a session that it loads
                await self._handler.handle(message.params)
        elif message.method == "session/request_permission" and is_request:
            self._connection.answer(message, await self._handler.decide(message.params))
        elif is_request:
            self._connection.answer(message, None)


def tells_session_cost(info: Any) -> bool:
    """Say whether an agent tells the cost of a session from its start on; the others tell that of their process."""
    return isinstance(info, dict) and info.get("name") in SESSION_COST_AGENTS


def resume_method(capabilities: Any) -> str:
    """Return by which method an agent resumes a session: the one that does not repeat the conversation, if it can.

    An agent that offers neither refuses the method.
    """
    offered = capabilities.get("sessionCapabilities") if isinstance(capabilities, dict) else None
    resumes = isinstance(offered, dict) and offered.get("resume") is not None
    return "session/resume" if resumes else "session/load"
