"""An HTTP server on a Unix socket that gives prepared answers and records the requests."""

import json
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Protocol

from tests.tui.documents import problem


class RunStitcher(Protocol):
    """Runs `stitcher` with arguments; returns its exit code, stdout and stderr."""

    def __call__(self, *argv: str) -> tuple[int, str, str]: ...


class FakeApi(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers `METHOD /path` with the (status, document) in `answers`; `requests` has every request and its body."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), FakeApiHandler)
        self.path = path
        self.answers: dict[str, tuple[int, Any]] = {}
        self.requests: list[tuple[str, Any]] = []


class FakeApiHandler(BaseHTTPRequestHandler):
    server: FakeApi

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((f"{self.command} {self.path}", body))
        missing = (404, problem(404, "not_found", f"there is no {self.path}"))
        status, document = self.server.answers.get(f"{self.command} {self.path.partition('?')[0]}", missing)
        content = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:  # a client that has everything may have disconnected
            self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 (http.server's names)

    def log_message(self, *_args: Any) -> None:
        pass
