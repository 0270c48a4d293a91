"""A model for real agents: it answers with the steps that it was given, by the API that it is asked by."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from tests.agents.apis import APIS, BROKEN, HANGING, REFUSAL, Step


class Model:
    """Answers each request with the next step, and the last one again and again; `requests` are those with tools.

    `headers` has those of each such request, by their names in lower case.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""
        self.closed = Event()

    def next_step(self, request: dict[str, Any], headers: Mapping[str, str]) -> Step:
        """Return the step of a request; one without tools is for a title and the like."""
        if not request.get("tools"):
            return "a title"
        self.requests.append(request)
        self.headers.append({name.lower(): value for name, value in headers.items()})
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
            api = next((each for each in APIS if path.endswith(each.path)), None)
            if api is None:
                self._send(b'{"input_tokens": 100}', "application/json")
                return
            step = model.next_step(request, dict(self.headers.items()))
            if step in (BROKEN, HANGING):
                data = api.stream("never whole", len(model.requests), str(request.get("model")))
                self._send(data, "text/event-stream", sent=len(data) // 2)
                if step == HANGING:
                    model.closed.wait()
                return
            if isinstance(step, int):
                self._send(json.dumps(REFUSAL).encode(), "application/json", step)
                return
            asked = (step, len(model.requests), str(request.get("model")))
            if api.whole is None or request.get("stream"):
                self._send(api.stream(*asked), "text/event-stream")
            else:
                self._send(json.dumps(api.whole(*asked)).encode(), "application/json")

        def _send(self, data: bytes, kind: str, status: int = 200, sent: int | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[:sent])
            self.close_connection = sent is not None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    model.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield model
    finally:
        model.closed.set()
        server.shutdown()
        server.server_close()
        thread.join()
