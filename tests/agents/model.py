"""A model for real agents: it answers with the steps that it was given, as Anthropic Messages or OpenAI Responses do.

A step is a text, `(tool, arguments)`, or an HTTP status to fail with. Each answer has read 100 tokens and written 10.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, TypeAlias

Step: TypeAlias = str | int | tuple[str, dict[str, Any]]
INPUT, OUTPUT = 100, 10


class Model:
    """Answers each request with the next step, and the last one again and again; `requests` are those with tools."""

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.requests: list[dict[str, Any]] = []
        self.url = ""

    def next_step(self, request: dict[str, Any]) -> Step:
        """Return the step of a request; one without tools is for a title and the like."""
        if not request.get("tools"):
            return "a title"
        self.requests.append(request)
        return self.steps[min(len(self.requests), len(self.steps)) - 1]


@contextmanager
def serve(steps: list[Step]) -> Iterator[Model]:
    """Serve a model until the context ends."""
    model = Model(steps)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self._send(b"", "application/json")

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            path = self.path.partition("?")[0]
            if not path.endswith(("/v1/messages", "/v1/responses")):
                self._send(b'{"input_tokens": 100}', "application/json")
                return
            step = model.next_step(request)
            if isinstance(step, int):
                error = {"type": "error", "error": {"type": "invalid_request_error", "message": "it was refused"}}
                self._send(json.dumps(error).encode(), "application/json", step)
                return
            number = len(model.requests)
            if request.get("stream"):
                dialect = _events if path.endswith("/messages") else _response_events
                events = dialect(step, number, str(request.get("model")))
                data = b"".join(
                    b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in events
                )
                self._send(data, "text/event-stream")
            else:
                self._send(json.dumps(_message(step, number, str(request.get("model")))).encode(), "application/json")

        def _send(self, data: bytes, kind: str, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _message(step: Step, number: int, model: str) -> dict[str, Any]:
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


def _events(step: Step, number: int, model: str) -> Iterator[dict[str, Any]]:
    whole = _message(step, number, model)
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


def _response_events(step: Step, number: int, model: str) -> Iterator[dict[str, Any]]:
    """Yield what Responses streams."""
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
