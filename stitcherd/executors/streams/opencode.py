"""The stream of OpenCode: `opencode run --format json`."""

from collections.abc import Sequence

from shared.models import Usage
from stitcherd.executors.streams.base import (
    AgentStream,
    Document,
    Ended,
    StreamItem,
    Text,
    ToolDenied,
    Used,
    began,
    child,
    count_at,
    dollars_at,
    line_at,
    text_at,
    tool_call,
)

_LAST = frozenset({"stop", "length", "content-filter"})  # reasons after which no tool is called


class OpenCodeStream(AgentStream):
    """Counts a turn for each step, whose tokens and dollars are told at its end."""

    types = frozenset({"text", "reasoning", "step_start", "tool_use", "step_finish", "error"})
    options = (("--format json",),)

    @staticmethod
    def resume(argv: Sequence[str], session: str) -> tuple[str, ...]:
        """Return the command line that goes on in a session."""
        return (*argv, "--session", session)

    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says."""
        part = child(document, "part")
        match text_at(document, "type"):
            case "text":
                return [Text(text_at(part, "text"))]
            case "step_start":
                return [*began(document, "sessionID"), Used(Usage(turns=1))]
            case "tool_use":
                return _read_call(part)
            case "step_finish":
                return _read_step(part)
            case "error":
                said = text_at(child(document, "error", "data"), "message") or text_at(child(document, "error"), "name")
                return [Ended(said or "it does not say why")]
        return []


def _read_call(part: Document) -> list[StreamItem]:
    """Return a call; it is told once it has ended."""
    state = child(part, "state")
    call = tool_call(line_at(part, "callID"), line_at(part, "tool"), child(state, "input"))
    error = line_at(state, "error")
    if text_at(state, "status") == "error" and ("permission" in error.lower() or "rejected" in error.lower()):
        return [call, ToolDenied(call.id, call.tool, error)]
    return [call]


def _read_step(part: Document) -> list[StreamItem]:
    tokens = child(part, "tokens")
    cache = child(tokens, "cache")
    read = count_at(tokens, "input") + count_at(cache, "read") + count_at(cache, "write")
    written = count_at(tokens, "output") + count_at(tokens, "reasoning")
    items: list[StreamItem] = [Used(Usage(read, written, dollars_at(part, "cost")))]
    reason = text_at(part, "reason")
    if reason in _LAST:
        items.append(Ended(None if reason == "stop" else f"the model stopped: {reason}"))
    return items
