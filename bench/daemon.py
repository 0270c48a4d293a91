"""Run stitcherd in a directory of its own, measure its resources, and build signed webhooks for it."""

import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import usage

SECRET = b"a secret for the bench"
RAILS = """\
version: 1
people:
  team: {users: ["github:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent}
  idle: {capabilities: [repo:read], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [tests], tries: 3}
  nothing: {profile: idle, needs: [repo:read], gates: []}
triggers:
  - {id: fix-on-command, on: [issue.comment], command: fix, repos: ["octo-org/*"], from: [team], job: fix}
guards:
  - {id: outsider, if: {author_of: [issue], not_in: [team]}, then: deny, because: strangers}
  - {id: freeze, if: {labels_any: [freeze]}, then: deny, because: a freeze}
gates:
  tests: {run: ["true"]}
"""
ROOT = Path(__file__).parents[1]
WEBHOOK_PATH = "/stitcher/webhook/github"


class BenchDaemon:
    """A running daemon, reachable at `port` and `socket`; `started_in` is its start-up time in seconds."""

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self.directory = directory
        self.process = process
        self.port = port
        self.socket = directory / "run" / "s"
        self.started_in = 0.0

    def cpu(self) -> float:
        """Return the CPU time used so far, in seconds."""
        return usage.cpu((self.process.pid,))

    def children_cpu(self) -> float:
        """Return the CPU time of all child processes that have ended, in seconds."""
        return usage.children_cpu(self.process.pid)

    def written(self) -> int:
        """Return how many bytes the daemon and all child processes that have ended wrote to files on a disk."""
        return usage.written(self.process.pid)

    def pss(self) -> float:
        """Return the proportional set size in MB."""
        return usage.pss((self.process.pid,))

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request on the Unix socket; return the decoded response."""
        connection = unix_connection(self.socket)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        return json.loads(connection.getresponse().read())


def unix_connection(path: Path) -> http.client.HTTPConnection:
    """Return an HTTP connection to a Unix socket."""
    connection = http.client.HTTPConnection("d")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    return connection


@contextmanager
def run_daemon(
    *,
    workers: int = 4,
    database: Path | None = None,
    program: Sequence[str] = ("-m", "stitcherd"),
    clone: Path | None = None,
    agent: Sequence[str] = ("true",),
    store: str = "",
    **more: str,
) -> Iterator[BenchDaemon]:
    """Start a daemon, wait until it listens, and at the end stop it and remove its directory.

    `program` are the arguments of Python that start it, `clone` is the repository of all jobs, and `agent` the command
    of their executor. `store` is the table of the settings for another store than a SQLite file, and `more` are
    environment variables.
    """
    directory = Path(tempfile.mkdtemp(prefix="stitcher-bench-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (directory / "stitcherd.toml").write_text(
        f'[daemon]\nstate_dir = "{directory}/state"\nsocket = "{directory}/run/s"\nworkers = {workers}\n'
        f'grace = "1s"\n[http]\nlisten = "127.0.0.1:{port}"\n'
        '[sources.github]\nkind = "github"\nsecrets = [{env = "BENCH_SECRET"}]\n'
        f'[repositories."octo-org/*"]\nclone = "{clone or directory}"\n'
        f'[executors.agent]\nkind = "command"\nargv = {json.dumps(list(agent))}\n{store}'
    )
    (directory / "rails.yaml").write_text(RAILS)
    (directory / "state").mkdir()
    if database is not None:
        shutil.copy(database, directory / "state" / "stitcher.db")
    environ = {**os.environ, "BENCH_SECRET": SECRET.decode(), "PYTHONPATH": str(ROOT), **more}
    started = time.perf_counter()
    with (directory / "log").open("wb") as log:
        argv = [sys.executable, *program, "--config", str(directory)]
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environ, cwd=ROOT)
    try:
        daemon = BenchDaemon(directory, process, port)
        _wait_until_listening(daemon)
        daemon.started_in = time.perf_counter() - started
        yield daemon
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _wait_until_listening(daemon: BenchDaemon) -> None:
    for _ in range(1000):
        if daemon.process.poll() is not None:
            raise SystemExit((daemon.directory / "log").read_text())
        try:
            with socket.create_connection(("127.0.0.1", daemon.port), 1):
                return
        except OSError:
            time.sleep(0.01)
    raise SystemExit("the daemon does not listen")


def comment_body(number: int, size: int, text: str) -> bytes:
    """Return the body of a GitHub comment on issue `number`, of about `size` bytes."""
    user = {"login": "octocat", "id": 1, "type": "User"}
    body = {
        "action": "created",
        "issue": {"number": number, "title": "A row is lost", "user": user, "labels": [], "body": "x",
                  "html_url": f"https://github.com/octo-org/api/issues/{number}"},
        "comment": {"id": number, "body": text, "user": user},
        "repository": {"full_name": "octo-org/api", "name": "api", "owner": {"login": "octo-org"}},
        "sender": user,
        "filler": "",
    }  # fmt: skip
    short = len(json.dumps(body))
    body["filler"] = "y" * max(size - short, 0)
    return json.dumps(body).encode()


def signed_request(port: int, body: bytes, path: str = WEBHOOK_PATH, secret: bytes = SECRET) -> bytes:
    """Return the bytes of one signed webhook request with a unique delivery id."""
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-GitHub-Event: issue_comment\r\nX-GitHub-Delivery: {uuid.uuid4()}\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\n\r\n"
    )
    return head.encode() + body
