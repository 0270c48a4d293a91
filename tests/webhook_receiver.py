"""A receiver of webhooks in a thread of its own, which verifies each by another implementation of the signatures."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from msgspec import Struct
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Received(Struct):
    """A webhook whose signature was right: its id, and its body."""

    id: str
    body: Any


class Receiver:
    """Answers with the `statuses` one after the other, then 204; `port` 0 is any free one."""

    def __init__(self, *statuses: int, port: int = 0, headers: dict[str, str] | None = None) -> None:
        self.received: list[Received] = []
        self.invalid: list[Exception] = []
        self._statuses = [*statuses]
        self._headers = headers or {}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.port = int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=hidden-part"

    @property
    def types(self) -> list[str]:
        return [each.body["type"] for each in self.received]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        assert self.invalid == []

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    Webhook(SECRET).verify(body, {name.lower(): value for name, value in self.headers.items()})
                    receiver.received.append(Received(self.headers["webhook-id"], json.loads(body)))
                except Exception as error:  # noqa: BLE001 (the test tells it)
                    receiver.invalid.append(error)
                self.send_response(receiver._statuses.pop(0) if receiver._statuses else 204)
                for name, value in receiver._headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        return Handler
