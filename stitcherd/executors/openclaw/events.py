"""Turns what the gateway tells of a run into what the journal hears: output, tool calls, denials, usage."""

from collections.abc import Callable, Collection
from typing import Any

from shared.models import Failure, Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, OutputSink
from stitcherd.executors.openclaw.connection import GatewayEvent
from stitcherd.executors.openclaw.protocol import (
    CallUsage,
    GatewaySession,
    TerminalReply,
    TranscriptRow,
    TurnItem,
    WaitAnswer,
    convert_or_none,
)

# merged from stitcherd.executors.openclaw.meter: What a run has used so far, each call of the model counted
# once, and whether that is more than its budget.
EXTERNAL_STOP_REASONS = {"rpc", "archive", "aborted"}
ERROR_TEXT_MAX = 500  # characters of the gateway's own text that a failure carries


class RunInterrupted(Exception):
    """The run is over and nobody can say how its work ended; the text says what is known."""


def result_of_wait(answer: dict[str, Any], timeout: float | None) -> ExecutionResult | None:
    """Return what an answer of `agent.wait` means, None where the run is not over, or not known.

    `timeout` is the run's own, in seconds. Raises Interrupted where somebody else ended the run.
    """
    waited = convert_or_none(answer, WaitAnswer)
    if waited is None or waited.ended_at is None:
        return None
    visible = waited.terminal_reply.disposition == "visible"
    if waited.status == "ok" and waited.stop_reason == "stop" and visible:
        return ExecutionResult()
    # A run that is cut short amid a tool's call is reported as ok.
    if waited.status == "timeout" or (waited.status == "ok" and waited.liveness_state == "paused"):
        return timed_out(timeout)
    if waited.stop_reason in EXTERNAL_STOP_REASONS:
        raise RunInterrupted("The run was ended in the gateway, and not by its agent.")
    if waited.liveness_state == "abandoned":
        raise RunInterrupted("The gateway gave the run up.")
    if waited.error:
        return failed(f"The agent failed: {' '.join(waited.error.split())[:ERROR_TEXT_MAX].rstrip('.')}.")
    return failed(f"The agent stopped without an answer ({waited.status}, {waited.stop_reason or 'no reason'}).")


def result_of_session(session: GatewaySession, rows: list[TranscriptRow]) -> ExecutionResult | None:
    """Return how a session's last run ended, by what is kept of it; None while it goes on, or is to be resumed.

    This is for runs whose gateway has restarted since: it forgets the answers of `agent.wait`.
    """
    if not session.last_run_id or session.status in {"", "running"}:
        return None
    last = next((row for row in reversed(rows) if row.role == "assistant"), None)
    if session.status == "done":
        if last is not None and last.stop_reason == "stop":
            return ExecutionResult()
        return failed("The agent stopped without an answer.")
    if session.status == "killed":
        raise RunInterrupted("The run was ended in the gateway, and not by its agent.")
    return failed(f"The gateway says that the run ended as {session.status}.")


def timed_out(timeout: float | None) -> ExecutionResult:
    """Return the outcome of a run that had no time left."""
    spent = "was given" if timeout is None else f"{timeout:g} s"
    detail = f"The executor was still running after {spent} and was ended."
    return ExecutionResult(failure=Failure("executor_timeout", detail))


def failed(detail: str) -> ExecutionResult:
    """Return the outcome of a run whose agent did not come to its own end."""
    return ExecutionResult(failure=Failure("executor_failed", detail))


class BudgetExceeded(Exception):
    """The run used more than it may; the text says what of."""


class UsageMeter:
    """Counts what comes live, and again in the transcript, by the transcript's ids.

    `reported` is what was told before, perhaps by an earlier daemon: only what is beyond it is news.
    """

    def __init__(self, budget: Budget, reported: Usage) -> None:
        self.reported = reported
        self._budget = budget
        self._calls: dict[str, CallUsage] = {}
        self._turns = 0

    def turn(self) -> None:
        """Count a call of the model that begins."""
        self._turns += 1

    def count(self, row: TranscriptRow) -> None:
        """Count a line of the transcript; one that was counted before changes nothing."""
        if row.role == "assistant" and row.usage is not None:
            self._calls[row.marks.id] = row.usage

    @property
    def is_complete(self) -> bool:
        """Whether the transcript has left out no call of the model that was seen to begin."""
        return 0 < self._turns == len(self._calls)

    def news(self, final: GatewaySession | None = None) -> Usage | None:
        """Return what was not reported yet, and take it as reported; `final` corrects what the transcript left out.

        The transcript has no line for a call that asked for a tool which is not there, but the session's sum has it.
        """
        calls = self._calls.values()
        total = Usage(
            max(sum(call.input for call in calls), final.input_tokens if final else 0),
            max(sum(call.output for call in calls), final.output_tokens if final else 0),
            round(max(sum(call.cost.total for call in calls), final.estimated_cost_usd if final else 0.0), 6),
            max(self._turns, len(calls)),
        )
        before = self.reported
        news = Usage(
            max(total.input_tokens - before.input_tokens, 0),
            max(total.output_tokens - before.output_tokens, 0),
            round(max(total.cost_usd - before.cost_usd, 0.0), 6),
            max(total.turns - before.turns, 0),
        )
        if news == Usage():
            return None
        self.reported = Usage(
            before.input_tokens + news.input_tokens,
            before.output_tokens + news.output_tokens,
            round(before.cost_usd + news.cost_usd, 6),
            before.turns + news.turns,
        )
        return news

    def check(self) -> None:
        """Raise BudgetSpent where more was used than may be."""
        turns, usd = max(self._turns, len(self._calls)), self.reported.cost_usd
        if self._budget.turns is not None and turns > self._budget.turns:
            raise BudgetExceeded(f"The agent began turn {turns}, and its budget is {self._budget.turns}.")
        if self._budget.usd is not None and usd > self._budget.usd:
            raise BudgetExceeded(f"The agent has used {usd:g} USD, and its budget is {self._budget.usd:g} USD.")


COMMAND_OUTPUT_MAX = 64 << 10  # characters of one command's output


class EventHandler:
    """Hears one run, which may have had other ids before; `reference` returns what finds it again now."""

    def __init__(self, sink: OutputSink, meter: UsageMeter, reference: Callable[[], dict[str, str]]) -> None:
        self._sink = sink
        self._meter = meter
        self._reference = reference
        self._text = ""  # what was said of the text that is being said

    async def take(self, event: GatewayEvent, runs: Collection[str]) -> None:
        """Take an event, if it is about one of these runs; raises BudgetSpent."""
        payload = event.payload
        if event.name == "session.message":
            row = convert_or_none(payload.get("message"), TranscriptRow)
            if row is not None and row.marks.run_id in runs:
                self._meter.count(row)
                await self.report()
            return
        data = payload.get("data")
        if event.name == "agent" and payload.get("runId") in runs and isinstance(data, dict):
            await self._happened(str(payload.get("stream")), data)

    async def report(self, final: GatewaySession | None = None) -> None:
        """Report what was used since the last time, and hold it against the budget."""
        news = self._meter.news(final)
        if news is not None:
            await self._sink.add_usage(news, self._reference())
        self._meter.check()

    async def _happened(self, stream: str, data: dict[str, Any]) -> None:
        if stream == "assistant":
            self._said(str(data.get("text", "")))
        elif stream == "item":
            item = convert_or_none(data, TurnItem)
            if item is not None and item.kind == "tool":
                await self._used_tool(item)
            elif item is not None and item.kind == "preamble" and item.phase == "end":
                self._said(item.progress_text)  # its updates may hold words twice
        elif stream == "command_output" and "exitCode" in data:
            self._line(str(data.get("output", ""))[-COMMAND_OUTPUT_MAX:])
        elif stream == "run_status":
            self._line(f"[{data.get('message', 'the gateway tries again')}]")
        elif stream == "lifecycle" and data.get("phase") == "model" and data.get("model"):
            self._meter.turn()
            self._meter.check()
        elif stream == "lifecycle" and data.get("phase") == "end":
            reply = convert_or_none(data.get("terminalReply"), TerminalReply)
            self._said(reply.text if reply else "")
            self._line("")

    async def _used_tool(self, item: TurnItem) -> None:
        about = {"tool": item.name, "detail": item.title, "callId": item.tool_call_id}
        if item.phase == "start":
            self._line(f"[{item.title or item.name}]")
            await self._sink.record_event("ai.tool_called", about)
        elif item.phase == "end" and item.error:
            self._line(f"[{item.title or item.name}: {item.error}]")
            if item.denied:
                await self._sink.record_event("ai.tool_denied", {**about, "reason": item.error})

    def _said(self, text: str) -> None:
        """Say what is new of a text, which comes again and again, each time with all that there is of it."""
        if not text.startswith(self._text):
            self._line("")
        if text != self._text:
            self._sink.write(text[len(self._text) :].encode(errors="replace"))
        self._text = text

    def _line(self, line: str) -> None:
        if self._text:
            self._sink.write(b"\n")
            self._text = ""
        if line:
            self._sink.write(f"{line.rstrip()}\n".encode(errors="replace"))
