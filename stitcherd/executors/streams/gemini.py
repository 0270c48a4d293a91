"""The stream of Gemini CLI: `gemini -o stream-json`."""

from collections.abc import Sequence

from shared.models import Usage
from stitcherd.executors.streams.base import (
    NOTHING,
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
    line_at,
    text_at,
    tool_call,
)

_DENIALS = frozenset({"policy_violation", "tool_not_registered"})  # its approval mode takes tools away, too


class GeminiStream(AgentStream):
    """Counts a turn for the prompt and one after each tool call, at least; tokens are told by the last line."""

    types = frozenset({"init", "message", "tool_use", "tool_result", "error", "result"})
    options = (("-o stream-json", "--output-format stream-json"),)

    def __init__(self, told: Usage = NOTHING) -> None:
        super().__init__(told)
        self._tools: dict[str, str] = {}

    @staticmethod
    def resume(argv: Sequence[str], session: str) -> tuple[str, ...]:
        """Return the command line that goes on in a session; only one of the same directory is found."""
        return (*argv, "--resume", session)

    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says."""
        match text_at(document, "type"):
            case "init":
                return [*began(document, "session_id"), Used(Usage(turns=1))]
            case "message" if text_at(document, "role") == "assistant":
                return [Text(text_at(document, "content"), partial=document.get("delta") is True)]
            case "tool_use" | "tool_result":
                return self._read_call(document)
            case "error":
                return [Text(f"[{text_at(document, 'message')}]")]
            case "result":
                stats = child(document, "stats")
                tokens = Usage(count_at(stats, "input_tokens"), count_at(stats, "output_tokens"))
                failed = text_at(document, "status") != "success"
                said = text_at(child(document, "error"), "message") or "it does not say why"
                return [Used(tokens), Ended(said if failed else None)]
        return []

    def _read_call(self, document: Document) -> list[StreamItem]:
        id_ = line_at(document, "tool_id")
        if text_at(document, "type") == "tool_use":
            call = tool_call(id_, line_at(document, "tool_name"), child(document, "parameters"))
            self._tools[id_] = call.tool
            return [call, Used(Usage(turns=1))]
        error = child(document, "error")
        if text_at(error, "type") not in _DENIALS:
            return []
        return [ToolDenied(id_, self._tools.get(id_, ""), line_at(error, "message"))]
