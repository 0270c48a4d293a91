"""Turns what the gateway tells of a run into what the journal hears: output, tool calls, denials, usage."""

from collections.abc import Callable, Collection
from typing import Any

from stitcherd.executors import Voice
from stitcherd.executors.openclaw.answers import Item, Reply, Row, Session, read
from stitcherd.executors.openclaw.connection import Event
from stitcherd.executors.openclaw.meter import Meter

OUTPUT_KEPT = 64 << 10  # characters of one command's output


class Hearing:
    """Hears one run, which may have had other ids before; `reference` returns what finds it again now."""

    def __init__(self, voice: Voice, meter: Meter, reference: Callable[[], dict[str, str]]) -> None:
        self._voice = voice
        self._meter = meter
        self._reference = reference
        self._text = ""  # what was said of the text that is being said

    async def take(self, event: Event, runs: Collection[str]) -> None:
        """Take an event, if it is about one of these runs; raises BudgetSpent."""
        payload = event.payload
        if event.name == "session.message":
            row = read(payload.get("message"), Row)
            if row is not None and row.marks.run_id in runs:
                self._meter.count(row)
                await self.report()
            return
        data = payload.get("data")
        if event.name == "agent" and payload.get("runId") in runs and isinstance(data, dict):
            await self._happened(str(payload.get("stream")), data)

    async def report(self, final: Session | None = None) -> None:
        """Report what was used since the last time, and hold it against the budget."""
        news = self._meter.news(final)
        if news is not None:
            await self._voice.used(news, self._reference())
        self._meter.check()

    async def _happened(self, stream: str, data: dict[str, Any]) -> None:
        if stream == "assistant":
            self._said(str(data.get("text", "")))
        elif stream == "item":
            item = read(data, Item)
            if item is not None and item.kind == "tool":
                await self._used_tool(item)
            elif item is not None and item.kind == "preamble" and item.phase == "end":
                self._said(item.progress_text)  # its updates may hold words twice
        elif stream == "command_output" and "exitCode" in data:
            self._line(str(data.get("output", ""))[-OUTPUT_KEPT:])
        elif stream == "run_status":
            self._line(f"[{data.get('message', 'the gateway tries again')}]")
        elif stream == "lifecycle" and data.get("phase") == "model" and data.get("model"):
            self._meter.turn()
            self._meter.check()
        elif stream == "lifecycle" and data.get("phase") == "end":
            reply = read(data.get("terminalReply"), Reply)
            self._said(reply.text if reply else "")
            self._line("")

    async def _used_tool(self, item: Item) -> None:
        about = {"tool": item.name, "detail": item.title, "callId": item.tool_call_id}
        if item.phase == "start":
            self._line(f"[{item.title or item.name}]")
            await self._voice.note("ai.tool_called", about)
        elif item.phase == "end" and item.error:
            self._line(f"[{item.title or item.name}: {item.error}]")
            if item.denied:
                await self._voice.note("ai.tool_denied", {**about, "reason": item.error})

    def _said(self, text: str) -> None:
        """Say what is new of a text, which comes again and again, each time with all that there is of it."""
        if not text.startswith(self._text):
            self._line("")
        if text != self._text:
            self._voice.say(text[len(self._text) :].encode(errors="replace"))
        self._text = text

    def _line(self, line: str) -> None:
        if self._text:
            self._voice.say(b"\n")
            self._text = ""
        if line:
            self._voice.say(f"{line.rstrip()}\n".encode(errors="replace"))
