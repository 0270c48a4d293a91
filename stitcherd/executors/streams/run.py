"""Runs a program and follows its stream: text becomes output, tool calls events, and usage counts for the budget."""

import asyncio
from collections.abc import Sequence

from stitcherd import processes
from stitcherd.budget import Budget
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.results import cannot_start, failed, over_budget, result_of_exit, timed_out
from stitcherd.executors.run_budget import RunBudget, RunBudgetExceeded
from stitcherd.executors.sessions import record_resumed
from stitcherd.executors.streams.base import (
    AgentStream,
    Began,
    Ended,
    StreamItem,
    Text,
    ToolCalled,
    ToolDenied,
    Used,
    one_line,
)
from stitcherd.executors.streams.lines import Line, LineSplitter

WAITING_MAX = 10_000  # items that are read and not recorded yet


class ReportedTooMuch(Exception):
    """The program writes its stream faster than it can be recorded."""


class StreamRun:
    """One run of a program that writes a stream, where `resumed` is the session that it is to go on in.

    `is_session_unknown` says that it failed without telling any session: all programs tell it before they call a model.
    """

    def __init__(
        self,
        stream: AgentStream,
        task: Task,
        sink: OutputSink,
        prices: PriceSettings | None,
        *,
        resumed: str | None = None,
    ) -> None:
        self._stream = stream
        self._task = task
        self._resumed = resumed
        self.session = ""  # as the stream tells it
        self.is_session_unknown = False
        self._sink = sink
        self._budget = task.profile.budget if task.profile else Budget()
        self._tools = task.profile.tools if task.profile else None
        self._spent = RunBudget(sink, self._budget, prices)
        self._lines = LineSplitter()
        self._in_text = False
        self._reports_too_much = False
        self._items: asyncio.Queue[StreamItem | None] = asyncio.Queue()
        self._end: Ended | None = None
        self._denied = ""  # the tool whose call was denied last, if no call or text came after it

    async def run(self, argv: Sequence[str], prompt: str) -> ExecutionResult:
        """Run the program with a prompt to its end, or to that of its budget; then none of its processes is running."""
        self._sink.record_prompt(prompt)
        running = asyncio.create_task(
            self._task.run_command(
                (*argv, *self._stream.arguments(self._budget, self._tools)),
                stdin=prompt.encode(errors="replace"),
                timeout=self._task.timeout,
                write=self._feed,
                write_error=self._sink.write,
            )
        )
        handling = asyncio.create_task(self._handle())
        try:
            await asyncio.wait({running, handling}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                self._read(self._lines.end())
                self._items.put_nowait(None)
                await asyncio.wait({handling})
        finally:
            running.cancel()
            handling.cancel()
            await asyncio.wait({running, handling})
        try:
            handling.result()
            return self._result(running.result())
        except RunBudgetExceeded as exceeded:
            return over_budget(str(exceeded))
        except ReportedTooMuch:
            return failed("The agent was ended: it reported more than could be recorded.")
        except processes.CannotStart as error:
            return cannot_start(error)

    def _result(self, ended: processes.ExitStatus) -> ExecutionResult:
        """Return the result of a program that has ended: by its last line first, then by its exit code."""
        self.is_session_unknown = not self.session and (ended.code or 0) > 0 and not ended.timed_out
        if ended.timed_out:
            return timed_out(self._task.timeout, ended.code)
        if self._end is not None and self._end.failure is not None:
            said = one_line(self._end.failure).rstrip(".")
            if self._end.over_budget:
                return over_budget(f"The agent ended because of its budget: {said}.", ended.code)
            return failed(f"The agent failed: {said}.", ended.code)
        if ended.ok and self._end is None:
            denied = f", after its call of {self._denied} was denied" if self._denied else ""
            return failed(f"The stream of the agent broke off{denied}: its last line is missing.", ended.code)
        return result_of_exit(ended, self._task.timeout)

    def _feed(self, data: bytes) -> None:
        self._read(self._lines.feed(data))

    def _read(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if not line.whole:
                self._sink.write(line.data)
                self._sink.write_raw(line.data)
            elif self._items.qsize() > WAITING_MAX:
                self._reports_too_much = True
            else:
                items = self._stream.feed(line.data)
                if not any(isinstance(item, Text) and item.partial for item in items):
                    self._sink.write_raw(line.data + b"\n")
                for item in items:
                    self._items.put_nowait(item)

    def _write(self, text: str, *, partial: bool = False) -> None:
        """Write text; all but a partial one begins and ends a line."""
        begin = "\n" if self._in_text and not partial else ""
        self._sink.write(f"{begin}{text}{'' if partial else chr(10)}".encode(errors="replace"))
        self._in_text = partial and not text.endswith("\n")

    async def _begin(self, session: str) -> None:
        if self._resumed is not None and not self.session:
            await record_resumed(self._sink, self._resumed)
        self.session = session

    async def _handle(self) -> None:
        while (item := await self._items.get()) is not None:
            if self._reports_too_much:
                raise ReportedTooMuch
            match item:
                case Began(session):
                    await self._begin(session)
                case Text(text, partial):
                    self._denied = ""
                    self._write(text, partial=partial)
                case ToolCalled(id_, tool, detail):
                    self._denied = ""
                    self._write(f"[{tool}: {detail}]")
                    await self._sink.record_event("ai.tool_called", {"tool": tool, "detail": detail, "callId": id_})
                case ToolDenied(id_, tool, reason):
                    self._denied = one_line(tool)
                    self._write(f"[{tool}: denied: {reason}]")
                    await self._sink.record_event("ai.tool_denied", {"tool": tool, "reason": reason, "callId": id_})
                case Used(usage):
                    await self._spent.add(usage)
                case Ended():
                    self._end = item
        if self._in_text:
            self._sink.write(b"\n")
