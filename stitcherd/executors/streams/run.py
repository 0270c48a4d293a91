"""Runs a program and follows its stream: text becomes output, tool calls events, and usage counts for the budget."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct, structs

from shared.models import Failure, Usage
from stitcherd import processes
from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.run_budget import RunBudget, RunBudgetExceeded
from stitcherd.executors.streams.base import AgentStream, Ended, StreamItem, Text, ToolCalled, ToolDenied, Used

LINE_MAX = 1 << 20  # bytes; a longer line is output like any text


class Prices(Struct, frozen=True):
    """US dollars for a million tokens, where the stream tells tokens and no dollars."""

    input: float
    output: float

    def priced(self, usage: Usage) -> Usage:
        """Return a usage with what its tokens cost."""
        cost = (usage.input_tokens * self.input + usage.output_tokens * self.output) / 1_000_000
        return structs.replace(usage, cost_usd=round(usage.cost_usd + cost, 6))


class StreamRun:
    """One run of a program that writes a stream."""

    def __init__(self, stream: AgentStream, task: Task, sink: OutputSink, prices: Prices | None) -> None:
        self._stream = stream
        self._task = task
        self._sink = sink
        self._prices = prices
        self._budget = task.profile.budget if task.profile else Budget()
        self._spent = RunBudget(sink, self._budget)
        self._rest = b""  # the beginning of a line
        self._items: asyncio.Queue[StreamItem | None] = asyncio.Queue()
        self._end: Ended | None = None

    async def run(self, argv: Sequence[str]) -> ExecutionResult:
        """Run the program to its end, or to that of its budget; then none of its processes is running."""
        running = asyncio.create_task(
            self._task.run_command(
                (*argv, *self._stream.arguments(self._budget)),
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
                self._read(self._rest)
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
        except processes.CannotStart as error:
            return ExecutionResult(failure=Failure("executor_cannot_start", str(error)))

    def _result(self, ended: processes.ExitStatus) -> ExecutionResult:
        """Return the result of a program that has ended: by its last line first, then by its exit code."""
        if ended.timed_out:
            detail = f"The executor was still running after {self._task.timeout:g} s and was ended."
            return ExecutionResult(ended.code, Failure("executor_timeout", detail))
        if self._end is not None and self._end.failure is not None:
            said = " ".join(self._end.failure.split())[:500].rstrip(".")
            return ExecutionResult(ended.code, Failure("executor_failed", f"The agent failed: {said}."))
        if not ended.ok:
            return ExecutionResult(ended.code, Failure("executor_failed", f"The executor {ended}."))
        if self._end is None:
            detail = "The stream of the agent broke off: its last line is missing."
            return ExecutionResult(ended.code, Failure("executor_failed", detail))
        return ExecutionResult(0)

    def _feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._read(line)
        if len(self._rest) > LINE_MAX:
            self._sink.write(self._rest)
            self._rest = b""

    def _read(self, line: bytes) -> None:
        for item in self._stream.feed(line):
            self._items.put_nowait(item)

    async def _handle(self) -> None:
        while (item := await self._items.get()) is not None:
            match item:
                case Text(text):
                    self._sink.write(f"{text}\n".encode(errors="replace"))
                case ToolCalled(id_, tool, detail):
                    self._sink.write(f"[{tool}: {detail}]\n".encode(errors="replace"))
                    await self._sink.record_event("ai.tool_called", {"tool": tool, "detail": detail, "callId": id_})
                case ToolDenied(id_, tool, reason):
                    self._sink.write(f"[{tool}: denied: {reason}]\n".encode(errors="replace"))
                    await self._sink.record_event("ai.tool_denied", {"tool": tool, "reason": reason, "callId": id_})
                case Used(usage):
                    await self._spent.add(self._prices.priced(usage) if self._prices else usage)
                case Ended():
                    self._end = item
