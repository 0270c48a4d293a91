"""The stream of Claude Code: `claude -p --output-format stream-json --verbose`."""

from collections.abc import Collection, Sequence

from msgspec import structs

from shared.models import Usage
from stitcherd.budget import Budget
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
    children,
    count_at,
    dollars_at,
    line_at,
    one_line,
    text_at,
    tool_call,
)

_INPUT = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_MODEL_INPUT = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens")
# How a tool result begins that is a refusal; what a command printed may have any of these words further on.
_REFUSALS = ("<tool_use_error>Error: No such tool available", "Claude requested permission", "Permission to use ")
_NO_MODEL = "<synthetic>"  # the model of a message that the program itself has written


class ClaudeStream(AgentStream):
    """Counts a turn for each message of the model, with the tokens that were known when it began.

    The last line tells all tokens and dollars: a run that was ended before has used more than was told.
    """

    types = frozenset({"assistant", "user", "system", "result", "stream_event", "rate_limit_event", "tool_progress"})
    options = (("-p", "--print"), ("--output-format stream-json",), ("--verbose",))

    def __init__(self, told: Usage = NOTHING) -> None:
        super().__init__(told)
        self._read = 0  # tokens that were told already
        self._written = 0
        self._messages: set[str] = set()
        self._tools: dict[str, str] = {}
        self._denied: set[str] = set()

    @staticmethod
    def arguments(budget: Budget, tools: Collection[str] | None = None) -> tuple[str, ...]:
        """Return the options for dollars, which the stream tells too late to end the run in time, and for tools.

        Settings and servers of the checkout, which the agent can write, are left out where tools are restricted.
        """
        usd = () if budget.usd is None else ("--max-budget-usd", f"{budget.usd:.6f}")
        if tools is None:
            return usd
        return (*usd, "--tools", ",".join(tools), "--setting-sources", "user", "--strict-mcp-config")

    @staticmethod
    def resume(argv: Sequence[str], session: str) -> tuple[str, ...]:
        """Return the command line that goes on in a session; only one of the same directory is found."""
        return (*argv, "--resume", session)

    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says."""
        match text_at(document, "type"):
            case "assistant":
                return self._read_message(child(document, "message"))
            case "user":
                blocks = children(child(document, "message"), "content")
                return [item for block in blocks for item in self._read_result(block)]
            case "system" if text_at(document, "subtype") == "init":
                return began(document, "session_id")
            case "system" if text_at(document, "subtype") == "api_retry":
                return [Text("[the model's API is asked again]")]
            case "result":
                return self._read_end(document)
        return []

    def _read_message(self, message: Document) -> list[StreamItem]:
        items: list[StreamItem] = []
        id_ = text_at(message, "id")
        if id_ not in self._messages and text_at(message, "model") != _NO_MODEL:
            self._messages.add(id_)
            began = _tokens(child(message, "usage"))
            self._read += began.input_tokens
            self._written += began.output_tokens
            items.append(Used(structs.replace(began, turns=1)))
        for block in children(message, "content"):
            if text_at(block, "type") == "text":
                items.append(Text(text_at(block, "text")))
            elif text_at(block, "type") == "tool_use":
                call = tool_call(line_at(block, "id"), line_at(block, "name"), child(block, "input"))
                self._tools[call.id] = call.tool
                items.append(call)
        return items

    def _read_result(self, block: Document) -> list[StreamItem]:
        """Return a denial: the stream has no line of its own for one."""
        said, call = text_at(block, "content"), line_at(block, "tool_use_id")
        if block.get("is_error") is not True:
            return []
        if not said.startswith(_REFUSALS):
            return [Text(f"[{self._tools.get(call, 'tool')} failed: {one_line(said)}]")]
        self._denied.add(call)
        return [ToolDenied(call, self._tools.get(call, ""), one_line(said))]

    def _read_end(self, document: Document) -> list[StreamItem]:
        total = _models_tokens(child(document, "modelUsage")) or _tokens(child(document, "usage"))
        rest = Usage(
            max(total.input_tokens - self._read, 0),
            max(total.output_tokens - self._written, 0),
            dollars_at(document, "total_cost_usd"),
        )
        denied = children(document, "permission_denials")
        items: list[StreamItem] = [
            ToolDenied(line_at(each, "tool_use_id"), line_at(each, "tool_name"), "it was not permitted")
            for each in denied
            if line_at(each, "tool_use_id") not in self._denied
        ]
        subtype = text_at(document, "subtype")
        failed = document.get("is_error") is not False or subtype != "success"  # an API failure is a "success" too
        errors = document.get("errors")
        first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], str) else ""
        said = text_at(document, "result") or first or subtype or "it does not say why"
        return [*items, Used(rest), Ended(said if failed else None, over_budget=subtype == "error_max_budget_usd")]


def _tokens(usage: Document) -> Usage:
    return Usage(sum(count_at(usage, key) for key in _INPUT), count_at(usage, "output_tokens"))


def _models_tokens(models: Document) -> Usage | None:
    """Return the sum over all models, or None: where a budget ended the run, only they have its tokens."""
    each = [child(models, name) for name in models]
    read = sum(count_at(one, key) for one in each for key in _MODEL_INPUT)
    return Usage(read, sum(count_at(one, "outputTokens") for one in each)) if read else None
