"""The stream of Codex: `codex exec --json -`."""

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

_SAID = frozenset({"agent_message", "reasoning", "error"})
_NOTES = frozenset({"todo_list"})


class CodexStream(AgentStream):
    """Counts a turn for the prompt and one after each tool call, at least; tokens are told at the end of the prompt.

    They count from the start of the session on, also where it is resumed, so what was told before is taken off.
    """

    types = frozenset(
        {"thread.started", "turn.started", "turn.completed", "turn.failed", "error"}
        | {"item.started", "item.updated", "item.completed"}
    )
    options = (("--json",),)

    def __init__(self, told: Usage = NOTHING) -> None:
        super().__init__(told)
        self._calls: set[str] = set()
        self._error = ""

    @staticmethod
    def resume(argv: Sequence[str], session: str) -> tuple[str, ...]:
        """Return the command line that goes on in a session: a subcommand, after options that it does not take."""
        stdin = argv[-1:] if argv[-1:] == ("-",) else ()
        return (*argv[: len(argv) - len(stdin)], "resume", session, *stdin)

    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says."""
        item = child(document, "item")
        match text_at(document, "type"):
            case "turn.started":
                return [Used(Usage(turns=1))]
            case "item.started" | "item.completed" if text_at(item, "type") not in _SAID | _NOTES:
                return self._read_call(item)
            case "item.completed" if text_at(item, "type") in _SAID:
                said = text_at(item, "text") or text_at(item, "message")
                return [Text(said)] if said else []
            case "error":
                self._error = text_at(document, "message")
                return [Text(f"[{self._error}]")]
            case "turn.completed" | "turn.failed":
                return self._read_end(document)
            case _:
                return began(document, "thread_id")

    def _read_call(self, item: Document) -> list[StreamItem]:
        """Return a call, which may be told only once it is over, and whether it was refused."""
        items: list[StreamItem] = []
        call = tool_call(line_at(item, "id"), line_at(item, "type"), _arguments(item))
        if call.id not in self._calls:
            self._calls.add(call.id)
            items += [call, Used(Usage(turns=1))]
        if text_at(item, "status") == "declined":
            items.append(ToolDenied(call.id, call.tool, "Codex itself declined it"))
        elif text_at(item, "status") == "failed":
            items.append(Text(f"[{call.tool} failed]"))
        return items

    def _read_end(self, document: Document) -> list[StreamItem]:
        if text_at(document, "type") == "turn.completed":
            return [Used(self._added(child(document, "usage"))), Ended()]
        said = text_at(child(document, "error"), "message") or self._error
        return [Ended(said or "it does not say why")]

    def _added(self, usage: Document) -> Usage:
        total = Usage(count_at(usage, "input_tokens"), count_at(usage, "output_tokens"))
        before, self.told = self.told, total
        return Usage(
            max(total.input_tokens - before.input_tokens, 0), max(total.output_tokens - before.output_tokens, 0)
        )


def _arguments(item: Document) -> Document:
    """Return what a tool is called with: all of an item but what says which one it is."""
    return {key: value for key, value in item.items() if key not in {"id", "type", "status", "aggregated_output"}}
