import json
import socketserver
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.tui.documents import problem


class FakeApi(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`answers` maps `METHOD /path` to (status, document); what came in is in `asked`, with query and body."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), FakeApiHandler)
        self.path = path
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, Any]] = []


class FakeApiHandler(BaseHTTPRequestHandler):
    server: FakeApi

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.asked.append((f"{self.command} {self.path}", body))
        missing = (404, problem(404, "not_found", f"there is no {self.path}"))
        status, document = self.server.answers.get(f"{self.command} {self.path.partition('?')[0]}", missing)
        content = document if isinstance(document, bytes) else json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status < 400 else "application/problem+json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content:  # whoever has all may have gone
            self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 (http.server's names)

    def log_message(self, *_said: Any) -> None:
        pass
