"""Turns what an agent reports during a prompt into output, events and usage, and answers its permission requests."""

from pathlib import Path
from typing import Any

from shared.models import Usage
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.acp.permissions import PATH_MAX, PATHS_MAX, ToolCall, choose_option, denial_reason
from stitcherd.executors.base import AgentProfile, OutputSink
from stitcherd.executors.run_budget import RunBudget, priced

TITLE_MAX = 500  # characters
CALLS_MAX = 1000  # tool calls that are remembered, the newest
USD_MAX = 1e9  # a larger amount is not believed
TOKENS_MAX = 1 << 40
_USD_DECIMALS = 6


class UpdateHandler:
    """Handles the updates of one session, which this process of the agent has begun."""

    def __init__(self, sink: OutputSink, profile: AgentProfile, checkout: Path, prices: PriceSettings | None) -> None:
        self._sink = sink
        self._profile = profile
        self._checkout = checkout
        self._prices = prices
        self._calls: dict[str, ToolCall] = {}
        self._in_text = False
        self._spent = RunBudget(sink, profile.budget)
        self._costs = False  # whether the agent has told any cost
        self.usd = 0.0  # as told, cumulative; less is not counted

    async def begin(self) -> None:
        """Count the model call that every prompt begins with. Raises RunBudgetExceeded."""
        await self._count_turn()

    async def handle(self, params: Any) -> None:
        """Handle the parameters of a `session/update`. Raises RunBudgetExceeded."""
        update = _object(_object(params).get("update"))
        match update.get("sessionUpdate"):
            case "agent_message_chunk":
                text = _object(update.get("content")).get("text")
                if isinstance(text, str) and text:
                    self._sink.write(text.encode(errors="replace"))
                    self._in_text = not text.endswith("\n")
            case "tool_call" | "tool_call_update":
                await self._handle_call(update)
            case "usage_update":
                await self._count_cost(update.get("cost"))

    async def decide(self, params: Any) -> dict[str, Any]:
        """Return the answer to a `session/request_permission`. Raises RunBudgetExceeded."""
        asked = _object(params)
        call = await self._handle_call(_object(asked.get("toolCall")))
        reason = denial_reason(call, self._profile.capabilities, self._checkout)
        option = choose_option(asked.get("options"), allowed=True) if reason is None else None
        if reason is None and option is None:
            reason = "the agent does not let it be allowed for this call only"
        if reason is not None:
            option = choose_option(asked.get("options"), allowed=False)
            self.write_line(f"[{call.title or call.kind}: denied: {reason}]")
            await self._sink.record_event("ai.tool_denied", {**_payload(call), "reason": reason})
        return {"outcome": {"outcome": "selected", "optionId": option} if option else {"outcome": "cancelled"}}

    async def end(self, answer: dict[str, Any]) -> None:
        """Report the tokens in the answer to a prompt, in the two forms that agents use.

        They have a price unless the agent tells a cost itself.
        """
        usage = _object(answer.get("usage"))
        count = _object(_object(_object(answer.get("_meta")).get("quota")).get("token_count"))
        tokens = Usage(
            _tokens(usage.get("inputTokens", count.get("input_tokens"))),
            _tokens(usage.get("outputTokens", count.get("output_tokens"))),
        )
        if tokens == Usage() and self._prices is not None and not self._costs:
            self.write_line("[the agent told neither tokens nor a cost: nothing is counted but its turns]")
        self.write_line("")
        await self._spent.add(tokens if self._costs else priced(tokens, self._prices))

    def write_line(self, line: str) -> None:
        """Write a line of its own."""
        if self._in_text:
            self._sink.write(b"\n")
            self._in_text = False
        if line:
            self._sink.write(f"{line}\n".encode(errors="replace"))

    async def _handle_call(self, update: dict[str, Any]) -> ToolCall:
        """Keep what is new of a tool call, and report it if it is a new one."""
        id_ = _text(update.get("toolCallId"))
        known = self._calls.get(id_)
        before = known or ToolCall(id=id_)
        call = ToolCall(
            id=id_,
            kind=_text(update.get("kind")) or before.kind,
            title=_text(update.get("title")) or before.title,
            paths=tuple(dict.fromkeys([*before.paths, *_paths(update)]))[: PATHS_MAX + 1],
        )
        self._calls[id_] = call
        if len(self._calls) > CALLS_MAX:
            del self._calls[next(iter(self._calls))]
        if known is None:
            self.write_line(f"[{call.title or call.kind}]")
            await self._sink.record_event("ai.tool_called", _payload(call))
            await self._count_turn()
        if update.get("status") == "failed":
            self.write_line(f"[{call.title or call.kind}: failed]")
        return call

    async def _count_turn(self) -> None:
        """Count a model call: one for the prompt, and at least one after each tool call."""
        await self._spent.add(Usage(turns=1))

    async def _count_cost(self, cost: Any) -> None:
        amount = _dollars(cost)
        self._costs = self._costs or amount > 0
        if amount > self.usd:
            added, self.usd = round(amount - self.usd, _USD_DECIMALS), amount
            await self._spent.add(Usage(cost_usd=added))


def _payload(call: ToolCall) -> dict[str, Any]:
    return {"tool": call.kind, "detail": call.title, "callId": call.id}


def _paths(update: dict[str, Any]) -> tuple[str, ...]:
    """Return the files of a tool call: its locations, and those that its diffs change."""
    named = [_object(each).get("path") for each in _list(update.get("locations"))]
    diffs = [each for each in map(_object, _list(update.get("content"))) if each.get("type") == "diff"]
    return tuple(
        path[: PATH_MAX + 1] for path in [*named, *(each.get("path") for each in diffs)] if isinstance(path, str)
    )


def is_piece(params: Any) -> bool:
    """Say whether the parameters of a message are a piece of a text that goes on in another message."""
    return str(_object(_object(params).get("update")).get("sessionUpdate")).endswith("_chunk")


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return " ".join(value.split())[:TITLE_MAX] if isinstance(value, str) else ""


def _dollars(cost: Any) -> float:
    """Return a cost, 0 where there is none that can be believed."""
    amount = _object(cost).get("amount")
    if _object(cost).get("currency") != "USD" or not isinstance(amount, (int, float)) or not 0 < amount < USD_MAX:
        return 0.0
    return float(amount)


def _tokens(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < TOKENS_MAX else 0
