"""The stream of Claude Code: `claude -p --output-format stream-json --verbose`."""

from msgspec import structs

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.streams.base import (
    AgentStream,
    Document,
    Ended,
    StreamItem,
    Text,
    ToolDenied,
    Used,
    child,
    children,
    count_at,
    dollars_at,
    text_at,
    tool_call,
)

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_REFUSALS = ("no such tool available", "requested permission", "permission to use", "denied")


class ClaudeStream(AgentStream):
    """Counts a turn for each message of the model, with the tokens that were known when it began.

    The last line tells all tokens and dollars: a run that was ended before has used more than was told.
    """

    def __init__(self) -> None:
        self._messages: set[str] = set()
        self._told = Usage()
        self._tools: dict[str, str] = {}
        self._denied: set[str] = set()

    def arguments(self, budget: Budget) -> tuple[str, ...]:
        """Return the option for dollars, which the stream tells too late to end the run in time."""
        return () if budget.usd is None else ("--max-budget-usd", f"{budget.usd:.6f}")

    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says."""
        match text_at(document, "type"):
            case "assistant":
                return self._read_message(child(document, "message"))
            case "user":
                blocks = children(child(document, "message"), "content")
                return [item for block in blocks for item in self._read_result(block)]
            case "system" if text_at(document, "subtype") == "api_retry":
                return [Text("[the model's API is asked again]")]
            case "result":
                return self._read_end(document)
        return []

    def _read_message(self, message: Document) -> list[StreamItem]:
        items: list[StreamItem] = []
        id_ = text_at(message, "id")
        if id_ not in self._messages:
            self._messages.add(id_)
            began = _tokens(child(message, "usage"))
            self._told = _sum(self._told, began)
            items.append(Used(structs.replace(began, turns=1)))
        for block in children(message, "content"):
            if text_at(block, "type") == "text":
                items.append(Text(text_at(block, "text")))
            elif text_at(block, "type") == "tool_use":
                call = tool_call(text_at(block, "id"), text_at(block, "name"), child(block, "input"))
                self._tools[call.id] = call.tool
                items.append(call)
        return items

    def _read_result(self, block: Document) -> list[StreamItem]:
        """Return a denial: the stream has no line of its own for one."""
        said, call = text_at(block, "content"), text_at(block, "tool_use_id")
        if block.get("is_error") is not True or not any(words in said.lower() for words in _REFUSALS):
            return []
        self._denied.add(call)
        return [ToolDenied(call, self._tools.get(call, ""), said)]

    def _read_end(self, document: Document) -> list[StreamItem]:
        total = _tokens(child(document, "usage"))
        rest = Usage(
            max(total.input_tokens - self._told.input_tokens, 0),
            max(total.output_tokens - self._told.output_tokens, 0),
            dollars_at(document, "total_cost_usd"),
        )
        denied = children(document, "permission_denials")
        items: list[StreamItem] = [
            ToolDenied(text_at(each, "tool_use_id"), text_at(each, "tool_name"), "it was not permitted")
            for each in denied
            if text_at(each, "tool_use_id") not in self._denied
        ]
        subtype = text_at(document, "subtype")
        failed = document.get("is_error") is not False or subtype != "success"  # an API failure is a "success" too
        said = text_at(document, "result") or subtype or "it does not say why"
        return [*items, Used(rest), Ended(said if failed else None)]


def _tokens(usage: Document) -> Usage:
    return Usage(sum(count_at(usage, key) for key in _INPUT), count_at(usage, "output_tokens"))


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)
