"""Runs a program and follows its stream: text becomes output, tool calls events, and usage counts for the budget."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct, structs

from shared.models import Failure, Usage
from stitcherd import processes
from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.run_budget import RunBudget, RunBudgetExceeded
from stitcherd.executors.streams.base import (
    AgentStream,
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


class Prices(Struct, frozen=True):
    """US dollars for a million tokens, where the stream tells tokens and no dollars."""

    input: float
    output: float

    def priced(self, usage: Usage) -> Usage:
        """Return a usage with what its tokens cost."""
        cost = (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1_000_000
        return structs.replace(usage, cost_usd=round(usage.cost_usd + cost, 6))


class ReportedTooMuch(Exception):
    """The program writes its stream faster than it can be recorded."""


class StreamRun:
    """One run of a program that writes a stream."""

    def __init__(self, stream: AgentStream, task: Task, sink: OutputSink, prices: Prices | None) -> None:
        self._stream = stream
        self._task = task
        self._sink = sink
        self._prices = prices
        self._budget = task.profile.budget if task.profile else Budget()
        self._tools = task.profile.tools if task.profile else None
        self._spent = RunBudget(sink, self._budget)
        self._lines = LineSplitter()
        self._in_text = False
        self._reports_too_much = False
        self._items: asyncio.Queue[StreamItem | None] = asyncio.Queue()
        self._end: Ended | None = None

    async def run(self, argv: Sequence[str]) -> ExecutionResult:
        """Run the program to its end, or to that of its budget; then none of its processes is running."""
        running = asyncio.create_task(
            self._task.run_command(
                (*argv, *self._stream.arguments(self._budget, self._tools)),
                stdin=self._task.prompt.encode(errors="replace"),
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
            return ExecutionResult(failure=Failure("budget_exceeded", str(exceeded), "see limits.budget in rails.yaml"))
        except ReportedTooMuch:
            detail = "The agent was ended: it reported more than could be recorded."
            return ExecutionResult(failure=Failure("executor_failed", detail))
        except processes.CannotStart as error:
            return ExecutionResult(failure=Failure("executor_cannot_start", str(error)))

    def _result(self, ended: processes.ExitStatus) -> ExecutionResult:
        """Return the result of a program that has ended: by its last line first, then by its exit code."""
        if ended.timed_out:
            detail = f"The executor was still running after {self._task.timeout:g} s and was ended."
            return ExecutionResult(ended.code, Failure("executor_timeout", detail))
        if self._end is not None and self._end.failure is not None:
            said = one_line(self._end.failure).rstrip(".")
            if self._end.over_budget:
                detail = f"The agent ended because of its budget: {said}."
                return ExecutionResult(
                    ended.code, Failure("budget_exceeded", detail, "see limits.budget in rails.yaml")
                )
            return ExecutionResult(ended.code, Failure("executor_failed", f"The agent failed: {said}."))
        if not ended.ok:
            return ExecutionResult(ended.code, Failure("executor_failed", f"The executor {ended}."))
        if self._end is None:
            detail = "The stream of the agent broke off: its last line is missing."
            return ExecutionResult(ended.code, Failure("executor_failed", detail))
        return ExecutionResult(0)

    def _feed(self, data: bytes) -> None:
        self._read(self._lines.feed(data))

    def _read(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if not line.whole:
                self._sink.write(line.data)
            elif self._items.qsize() > WAITING_MAX:
                self._reports_too_much = True
            else:
                for item in self._stream.feed(line.data):
                    self._items.put_nowait(item)

    def _write(self, text: str, *, partial: bool = False) -> None:
        """Write text; all but a partial one begins and ends a line."""
        begin = "\n" if self._in_text and not partial else ""
        self._sink.write(f"{begin}{text}{'' if partial else chr(10)}".encode(errors="replace"))
        self._in_text = partial and not text.endswith("\n")

    async def _handle(self) -> None:
        while (item := await self._items.get()) is not None:
            if self._reports_too_much:
                raise ReportedTooMuch
            match item:
                case Text(text, partial):
                    self._write(text, partial=partial)
                case ToolCalled(id_, tool, detail):
                    self._write(f"[{tool}: {detail}]")
                    await self._sink.record_event("ai.tool_called", {"tool": tool, "detail": detail, "callId": id_})
                case ToolDenied(id_, tool, reason):
                    self._write(f"[{tool}: denied: {reason}]")
                    await self._sink.record_event("ai.tool_denied", {"tool": tool, "reason": reason, "callId": id_})
                case Used(usage):
                    await self._spent.add(self._prices.priced(usage) if self._prices else usage)
                case Ended():
                    self._end = item
        if self._in_text:
            self._sink.write(b"\n")
