"""The demo's forge: as much of Gitea as one job needs, on a port of the loopback address, with a log of what it sees.

Its API answers in the format of Gitea, and `git http-backend` serves the repositories below its root.
"""

import base64
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from tui.cli.demo.environment import (
    BOT,
    LEVELS,
    REPOSITORY,
    DemoFailed,
    ForgeAddress,
    account,
    git_environment,
    run_git,
)

_API = "/api/v1"
_GIT_USER = "stitcher"
_GIT_TIMEOUT = 30.0  # seconds

Body: TypeAlias = dict[str, Any]


class LogEntry(Struct, frozen=True):
    """A request: when it came, in seconds since the start, what it was, and what it meant."""

    seconds: float
    method: str
    path: str
    status: int
    meaning: str


class DemoForge:
    """Serves until `stop`; `comments`, `reactions`, `statuses` and `changes` are what is there."""

    def __init__(self, root: Path, token: str) -> None:
        """Raise DemoFailed if git cannot serve repositories, and what `run_git` raises."""
        if not (Path(run_git("--exec-path").strip()) / "git-http-backend").exists():
            raise DemoFailed("this git has no http-backend, with which the demo serves the repository")
        self.log: list[LogEntry] = []
        self.comments: dict[int, Body] = {}
        self.reactions: list[tuple[int, str]] = []
        self.statuses: list[tuple[str, Body]] = []
        self.changes: list[Body] = []
        self._root = root
        self._token = token
        self._basic = f"Basic {base64.b64encode(f'{_GIT_USER}:{token}'.encode()).decode()}"
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def address(self) -> ForgeAddress:
        """Where the daemon finds it, and the token that it accepts."""
        return ForgeAddress(self.url, f"{self.url}{_API}", self._token)

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add_comment(self, number: int, login: str, text: str) -> int:
        """Add the comment of an account to an issue; return its id."""
        with self._lock:
            return int(self._add_comment(number, login, text)["id"])

    def answer(self, method: str, path: str, authorization: str, body: Body) -> tuple[int, Any]:
        """Return the status and the content for a request to the API, and write it to the log."""
        with self._lock:
            status, content, meaning = self._answer(method, path.removeprefix(_API), authorization, body)
            self._write(method, path, status, meaning)
        return status, content

    def serve_git(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Body, bytes]:
        """Return the status, headers and body of git's own server for a request, and write it to the log."""
        path, _, query = target.partition("?")
        if headers.get("Authorization") != self._basic:
            return 401, {"WWW-Authenticate": 'Basic realm="demo"'}, b""
        before = self._branches()
        environ = git_environment() | {
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": "/" + path.rpartition(f"{REPOSITORY.partition('/')[0]}/")[2],
            "QUERY_STRING": query,
            "REQUEST_METHOD": method,
            "CONTENT_TYPE": headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": headers.get("Git-Protocol", ""),
            "REMOTE_USER": BOT,
        }
        words = ["git", "http-backend"]
        done = subprocess.run(words, input=body, env=environ, capture_output=True, timeout=_GIT_TIMEOUT, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        sent = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        status = int(sent.pop("Status", "200").split()[0])
        new = sorted(self._branches() - before)
        if method == "POST":
            fetched = "git read the branches" if b"command=ls-refs" in body else "git fetched"
            with self._lock:
                self._write(method, path, status, f"git pushed {', '.join(new)}" if new else fetched)
        return status, sent, content

    def _branches(self) -> set[str]:
        bare = self._root / f"{REPOSITORY.partition('/')[2]}.git"
        return set(run_git(f"--git-dir={bare}", "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads").split())

    def _write(self, method: str, path: str, status: int, meaning: str) -> None:
        self.log.append(LogEntry(time.monotonic() - self._started, method, path, status, meaning))

    def _answer(self, method: str, path: str, authorization: str, body: Body) -> tuple[int, Any, str]:
        if authorization != f"token {self._token}":
            return 401, {"message": "token is required"}, "refused: no valid token"
        for route, handler in self._routes().items():
            pattern = re.sub(r"\{[^}]*\}", "([^/]+)", route.replace("R/", f"/repos/{REPOSITORY}/", 1))
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return handler(body, *map(unquote, found.groups()))
        return 404, {"message": "not found"}, "there is no such thing"

    def _routes(self) -> dict[str, Callable[..., tuple[int, Any, str]]]:
        return {
            "GET /user": self._get_user,
            "GET R/collaborators/{login}/permission": self._get_permission,
            "POST R/issues/{number}/comments": self._create_comment,
            "PATCH R/issues/comments/{id}": self._edit_comment,
            "POST R/issues/comments/{id}/reactions": self._react,
            "POST R/statuses/{sha}": self._set_status,
            "POST R/pulls": self._create_change,
        }

    def _get_user(self, _body: Body) -> tuple[int, Any, str]:
        return 200, account(BOT), f"the token is that of {BOT}"

    def _get_permission(self, _body: Body, login: str) -> tuple[int, Any, str]:
        level = LEVELS.get(login, "none")
        content = {"permission": level, "role_name": level, "user": account(login)}
        return 200, content, f"what may {login} do here? {level}"

    def _create_comment(self, body: Body, number: str) -> tuple[int, Any, str]:
        comment = self._add_comment(int(number), BOT, body["body"])
        return 201, comment, f"comment on #{number}: {_first_line(body['body'])}"

    def _add_comment(self, number: int, login: str, text: str) -> Body:
        id_, issue = 991 + len(self.comments), f"{self.url}/{REPOSITORY}/issues/{number}"
        now = _now()
        self.comments[id_] = {
            "id": id_,
            "user": account(login),
            "body": text,
            "created_at": now,
            "updated_at": now,
            "issue_url": issue,
            "html_url": f"{issue}#issuecomment-{id_}",
        }
        return self.comments[id_]

    def _edit_comment(self, body: Body, id_: str) -> tuple[int, Any, str]:
        if int(id_) not in self.comments:
            return 404, {"message": "not found"}, f"there is no comment {id_}"
        self.comments[int(id_)] |= {"body": body["body"], "updated_at": _now()}
        return 200, self.comments[int(id_)], f"the same comment, edited: {_first_line(body['body'])}"

    def _react(self, body: Body, id_: str) -> tuple[int, Any, str]:
        if int(id_) not in self.comments:
            return 404, {"message": "not found"}, f"there is no comment {id_}"
        self.reactions.append((int(id_), body["content"]))
        reaction = {"content": body["content"], "user": account(BOT), "created_at": _now()}
        author = self.comments[int(id_)]["user"]["login"]
        return 201, reaction, f"reaction {body['content']} to the comment of {author}"

    def _set_status(self, body: Body, sha: str) -> tuple[int, Any, str]:
        self.statuses.append((sha, body))
        kept = {key: value for key, value in body.items() if key != "state"}
        content = {"id": len(self.statuses), "status": body["state"], **kept}
        return 201, content, f"status of {sha[:7]}: {body['context']} is {body['state']}"

    def _create_change(self, body: Body) -> tuple[int, Any, str]:
        number, repository = 482 + len(self.changes), {"id": 1, "full_name": REPOSITORY}
        bare = self._root / f"{REPOSITORY.partition('/')[2]}.git"
        shas = {side: run_git(f"--git-dir={bare}", "rev-parse", body[side]).strip() for side in ("base", "head")}
        change = {
            "number": number,
            "title": body["title"],
            "body": body["body"],
            "state": "open",
            "html_url": f"{self.url}/{REPOSITORY}/pulls/{number}",
            "user": account(BOT),
            **{side: {"ref": body[side], "sha": sha, "repo": repository} for side, sha in shas.items()},
        }
        self.changes.append(change)
        return 201, change, f"change #{number} from {body['head']} to {body['base']}: {body['title']}"


def _handler_of(forge: DemoForge) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            path = urlsplit(self.path).path
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            if path.startswith(_API):
                authorization = self.headers.get("Authorization", "")
                status, found = forge.answer(self.command, path, authorization, json.loads(body) if body else {})
                headers, content = {"Content-Type": "application/json"}, json.dumps(found).encode()
            else:
                status, headers, content = forge.serve_git(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _handle  # noqa: N815 (the names of the library)

        def log_message(self, *_: object) -> None:
            """Print nothing: the log is kept."""

    return Handler


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
