"""Interprets what the gateway reports about a run: its output, tool calls, usage, and how it ended."""

from collections.abc import Callable, Collection
from typing import Any

from shared.models import Usage
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
from stitcherd.executors.results import failed, timed_out
from stitcherd.executors.run_budget import check_budget

COMMAND_OUTPUT_MAX = 64 << 10  # characters of one command's output
ERROR_TEXT_MAX = 500  # characters of the gateway's own text in a failure
EXTERNAL_STOP_REASONS = {"rpc", "archive", "aborted"}
_USD_DECIMALS = 6


class RunInterrupted(Exception):
    """The run is over, and how its work ended cannot be known; the text says what is known."""


class EventHandler:
    """Writes the events of a run to a sink; `reference` returns the current reference of the run."""

    def __init__(self, sink: OutputSink, meter: "UsageMeter", reference: Callable[[], dict[str, str]]) -> None:
        self._sink = sink
        self._meter = meter
        self._reference = reference
        self._text = ""  # what was written of the text that is being streamed

    async def handle(self, event: GatewayEvent, runs: Collection[str]) -> None:
        """Handle an event if it belongs to one of these runs. Raises RunBudgetExceeded."""
        payload = event.payload
        if event.name == "session.message":
            row = convert_or_none(payload.get("message"), TranscriptRow)
            if row is not None and row.ids.run_id in runs:
                self._meter.count(row)
                await self.report_usage()
            return
        data = payload.get("data")
        if event.name == "agent" and payload.get("runId") in runs and isinstance(data, dict):
            await self._handle_stream(str(payload.get("stream")), data)

    async def report_usage(self, final: GatewaySession | None = None) -> None:
        """Report the usage since the last report. Raises RunBudgetExceeded."""
        usage = self._meter.take_unreported(final)
        if usage is not None:
            await self._sink.add_usage(usage, self._reference())
        self._meter.check_budget()

    async def _handle_stream(self, stream: str, data: dict[str, Any]) -> None:
        if stream == "assistant":
            self._write_text(str(data.get("text", "")))
        elif stream == "item":
            item = convert_or_none(data, TurnItem)
            if item is not None and item.kind == "tool":
                await self._handle_tool(item)
            elif item is not None and item.kind == "preamble" and item.phase == "end":
                self._write_text(item.progress_text)  # its updates may repeat words
        elif stream == "command_output" and "exitCode" in data:
            self._write_line(str(data.get("output", ""))[-COMMAND_OUTPUT_MAX:])
        elif stream == "run_status":
            self._write_line(f"[{data.get('message', 'the gateway tries again')}]")
        elif stream == "lifecycle" and data.get("phase") == "model" and data.get("model"):
            self._meter.start_turn()
            self._meter.check_budget()
        elif stream == "lifecycle" and data.get("phase") == "end":
            reply = convert_or_none(data.get("terminalReply"), TerminalReply)
            self._write_text(reply.text if reply else "")
            self._write_line("")

    async def _handle_tool(self, item: TurnItem) -> None:
        payload = {"tool": item.name, "detail": item.title, "callId": item.tool_call_id}
        if item.phase == "start":
            self._write_line(f"[{item.title or item.name}]")
            await self._sink.record_event("ai.tool_called", payload)
        elif item.phase == "end" and item.error:
            self._write_line(f"[{item.title or item.name}: {item.error}]")
            if item.denied:
                await self._sink.record_event("ai.tool_denied", {**payload, "reason": item.error})

    def _write_text(self, text: str) -> None:
        """Write what is new in a text; the gateway sends each streamed text repeatedly, from its beginning."""
        if not text.startswith(self._text):
            self._write_line("")
        if text != self._text:
            self._sink.write(text[len(self._text) :].encode(errors="replace"))
        self._text = text

    def _write_line(self, line: str) -> None:
        if self._text:
            self._sink.write(b"\n")
            self._text = ""
        if line:
            self._sink.write(f"{line.rstrip()}\n".encode(errors="replace"))


class UsageMeter:
    """Counts the usage of a run; each model call once, although the transcript repeats what came as events.

    `reported` is what was reported before, perhaps by an earlier daemon; it is not reported again.
    """

    def __init__(self, budget: Budget, reported: Usage) -> None:
        self.reported = reported
        self._budget = budget
        self._calls: dict[str, CallUsage] = {}
        self._turns = 0

    def start_turn(self) -> None:
        """Count a model call that begins."""
        self._turns += 1

    def count(self, row: TranscriptRow) -> None:
        """Count a row of the transcript; a row that was counted before changes nothing."""
        if row.role == "assistant" and row.usage is not None:
            self._calls[row.ids.id] = row.usage

    @property
    def is_complete(self) -> bool:
        """Whether the transcript has a row for each model call that began."""
        return 0 < self._turns == len(self._calls)

    def take_unreported(self, final: GatewaySession | None = None) -> Usage | None:
        """Return the usage that was not reported yet, and mark it as reported; None if there is none.

        `final` corrects what the transcript lacks: it has no row for a call that requested an unknown tool, but the
        session's total includes it.
        """
        calls = self._calls.values()
        total = Usage(
            max(sum(call.input for call in calls), final.input_tokens if final else 0),
            max(sum(call.output for call in calls), final.output_tokens if final else 0),
            round(
                max(sum(call.cost.total for call in calls), final.estimated_cost_usd if final else 0.0), _USD_DECIMALS
            ),
            max(self._turns, len(calls)),
        )
        before = self.reported
        added = Usage(
            max(total.input_tokens - before.input_tokens, 0),
            max(total.output_tokens - before.output_tokens, 0),
            round(max(total.cost_usd - before.cost_usd, 0.0), _USD_DECIMALS),
            max(total.turns - before.turns, 0),
        )
        if added == Usage():
            return None
        self.reported = Usage(
            before.input_tokens + added.input_tokens,
            before.output_tokens + added.output_tokens,
            round(before.cost_usd + added.cost_usd, _USD_DECIMALS),
            before.turns + added.turns,
        )
        return added

    def check_budget(self) -> None:
        """Raise RunBudgetExceeded if the run has used more than its budget."""
        check_budget(self._budget, max(self._turns, len(self._calls)), self.reported.cost_usd)


def result_of_wait(answer: dict[str, Any], timeout: float | None) -> ExecutionResult | None:
    """Return the result that an answer of `agent.wait` reports, or None if the run is not over, or not known.

    `timeout` is that of the run, in seconds. Raises RunInterrupted if the run was ended from outside.
    """
    waited = convert_or_none(answer, WaitAnswer)
    if waited is None or waited.ended_at is None:
        return None
    visible = waited.terminal_reply.disposition == "visible"
    if waited.status == "ok" and waited.stop_reason == "stop" and visible:
        return ExecutionResult()
    # A run that is cut short during a tool call is reported as ok.
    if waited.status == "timeout" or (waited.status == "ok" and waited.liveness_state == "paused"):
        return timed_out(timeout)
    if waited.stop_reason in EXTERNAL_STOP_REASONS:
        raise RunInterrupted("The run was ended in the gateway, and not by its agent.")
    if waited.liveness_state == "abandoned":
        raise RunInterrupted("The gateway abandoned the run.")
    if waited.error:
        return failed(f"The agent failed: {' '.join(waited.error.split())[:ERROR_TEXT_MAX].rstrip('.')}.")
    return failed(f"The agent stopped without an answer ({waited.status}, {waited.stop_reason or 'no reason'}).")


def result_of_session(session: GatewaySession, rows: list[TranscriptRow]) -> ExecutionResult | None:
    """Return how a session's last run ended, or None while it runs or may be resumed.

    For runs whose gateway has restarted since, after which `agent.wait` no longer knows them. Raises RunInterrupted.
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
