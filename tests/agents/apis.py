"""The APIs of models that real agents speak: what each streams, and what it answers whole, for a step of a script.

A step is a text, `(tool, arguments)`, an HTTP status to fail with, BROKEN or HANGING. Each answer has read 100 tokens
and written 10.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from msgspec import Struct

Step: TypeAlias = str | int | tuple[str, dict[str, Any]]
INPUT, OUTPUT = 100, 10
BROKEN = 0  # the connection ends in the middle of the answer
HANGING = 1  # the answer begins and does not go on
NO_UTF8 = "(no UTF-8)"  # in a text: bytes that are not UTF-8 are sent in its place
REFUSAL = {  # read by the clients of all APIs
    "type": "error",
    "error": {"type": "invalid_request_error", "status": "INVALID_ARGUMENT", "message": "it was refused"},
}


class Api(Struct, frozen=True):
    """One API: the end of its paths, the events of a stream, and a whole answer where agents ask for one.

    Both are made of a step, the number of the request, and the name of the model.
    """

    path: str
    events: Callable[[Step, int, str], Iterator[dict[str, Any] | str]]
    whole: Callable[[Step, int, str], dict[str, Any]] | None = None

    def stream(self, step: Step, number: int, model: str) -> bytes:
        """Return the events as they are sent: with their type above them, if they have one."""
        data = b"".join(map(_encode, self.events(step, number, model)))
        return data.replace(NO_UTF8.encode(), b"\xff\xfe\x80")


def _encode(event: dict[str, Any] | str) -> bytes:
    if isinstance(event, str):
        return b"data: %s\n\n" % event.encode()
    name = b"event: %s\n" % event["type"].encode() if "type" in event else b""
    return name + b"data: %s\n\n" % json.dumps(event).encode()


def _anthropic_whole(step: Step, number: int, model: str) -> dict[str, Any]:
    if isinstance(step, tuple):
        block = {"type": "tool_use", "id": f"toolu_{number}", "name": step[0], "input": step[1]}
    else:
        block = {"type": "text", "text": str(step)}
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [block],
        "stop_reason": "tool_use" if isinstance(step, tuple) else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": INPUT, "output_tokens": OUTPUT},
    }


def _anthropic(step: Step, number: int, model: str) -> Iterator[dict[str, Any]]:
    whole = _anthropic_whole(step, number, model)
    usage = {"input_tokens": INPUT, "output_tokens": 1}
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None, "usage": usage}}
    (block,) = whole["content"]
    if block["type"] == "text":
        empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
    else:
        empty = {**block, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    yield {"type": "content_block_start", "index": 0, "content_block": empty}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": OUTPUT}}
    yield {"type": "message_stop"}


def _responses(step: Step, number: int, model: str) -> Iterator[dict[str, Any]]:
    item: dict[str, Any]
    if isinstance(step, tuple):
        arguments = json.dumps(step[1])
        item = {"type": "function_call", "call_id": f"call_{number}", "name": step[0], "arguments": arguments}
    else:
        content = [{"type": "output_text", "text": str(step), "annotations": []}]
        item = {"type": "message", "role": "assistant", "content": content}
    item |= {"id": f"item_{number}", "status": "completed"}
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    whole = {"id": f"resp_{number}", "object": "response", "model": model, "output": [item], "usage": usage}
    yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": [], "usage": None}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": {**whole, "status": "completed"}}


def _chat(step: Step, number: int, model: str) -> Iterator[dict[str, Any] | str]:
    head = {"id": f"chat_{number}", "object": "chat.completion.chunk", "created": 0, "model": model}
    delta: dict[str, Any] = {"role": "assistant"}
    if isinstance(step, tuple):
        function = {"name": step[0], "arguments": json.dumps(step[1])}
        delta["tool_calls"] = [{"index": 0, "id": f"call_{number}", "type": "function", "function": function}]
    else:
        delta["content"] = str(step)
    reason = "tool_calls" if isinstance(step, tuple) else "stop"
    yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    yield {**head, "choices": [], "usage": usage}
    yield "[DONE]"


def _gemini(step: Step, number: int, model: str) -> Iterator[dict[str, Any] | str]:
    yield _gemini_whole(step, number, model)


def _gemini_whole(step: Step, _: int, model: str) -> dict[str, Any]:
    part = {"functionCall": {"name": step[0], "args": step[1]}} if isinstance(step, tuple) else {"text": str(step)}
    return {
        "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}],
        "modelVersion": model,
        "usageMetadata": {
            "promptTokenCount": INPUT,
            "candidatesTokenCount": OUTPUT,
            "totalTokenCount": INPUT + OUTPUT,
        },
    }


APIS = (
    Api("/v1/messages", _anthropic, _anthropic_whole),
    Api("/v1/responses", _responses),
    Api("/v1/chat/completions", _chat),
    Api(":streamGenerateContent", _gemini),
    Api(":generateContent", _gemini, _gemini_whole),
)
