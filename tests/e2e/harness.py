"""Run a real daemon as a process in a temporary directory, and send requests to it."""

import hashlib
import hmac
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

import stitcherd
from stitcherd.store.postgres_connections import connect_writer
from stitcherd.store.sqlite import DATABASE
from tests import stores
from tests.e2e.git_repository import create_repository, git
from tests.e2e.http_client import TIMEOUT, Reply, UnixConnection, send_request
from tests.e2e.process_watch import end_processes, processes_in
from tests.e2e.webhooks import OLD_SECRET, SECRETS, comment_body, signed_headers

ROOT = Path(stitcherd.__file__).parents[1]
HERE = Path(__file__).parent
TOKEN = "a-token-for-e2e-tests"
FINAL_STATUSES = ("COMPLETED", "FAILED", "CANCELLED")

T = TypeVar("T")


class DaemonHarness:
    """One daemon with its files; `settings` extend the stitcherd.toml here, `rails` replace the rails.yaml.

    At the end of its context everything that was started is killed, and the files are removed.
    """

    def __init__(
        self,
        *,
        daemon: str = "",
        store: str = "",
        settings: str = "",
        rails: str | None = None,
        prepare: str = "[]",
        grace: str = "300ms",
        files: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="e2e-"))
        self.state = self.root / "state"
        self.config = self.root / "config"
        self.socket = self.root / "run" / "s"
        self.log = self.root / "log"
        self.rails = self.config / "rails.yaml"
        self.process: subprocess.Popen[bytes] | None = None
        store = stores.settings_table(self.root) + store
        self._pieces = {"store": store, "daemon": daemon, "settings": settings, "prepare": prepare, "grace": grace}
        self.port = 0
        self.config.mkdir()
        self.rails.write_text((HERE / "rails.yaml").read_text() if rails is None else rails)
        for name, secret in (("old-secret", OLD_SECRET), ("mosaic-secret", SECRETS["mosaic"])):
            (self.root / name).touch(mode=0o600)
            (self.root / name).write_text(f"{secret}\n")
        self.repository = self.root / "api.git"
        create_repository(self.repository, {"readme": "one\n", "check.sh": "test ! -e broken\n", **files})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def start(self, *, ready: bool = True, around: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the daemon, under the command `around`; return when it is ready, or at once with ready=False."""
        for _ in range(5):  # another process may take the port meanwhile
            self.write_settings()
            process = self.spawn(around)
            if not ready or self._is_ready(process):
                return process
            if b"address already in use" not in self.log.read_bytes():
                break
        raise AssertionError(f"the daemon did not become ready:\n{self.log_tail()}")

    def await_ready(self) -> None:
        assert self.process is not None
        assert self._is_ready(self.process), self.log_tail()

    def spawn(self, around: Sequence[str] = (), options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the daemon with the current files, and further options."""
        argv = [*around, sys.executable, "-m", "stitcherd", "--config", str(self.config), *options]
        self.process = spawn(argv, self.log, E2E_SECRET=SECRETS["github"])
        return self.process

    def kill(self) -> None:
        """Kill the daemon."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, timeout: float = TIMEOUT) -> int:
        """Stop the daemon with SIGTERM; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout)
        self.process = None
        return code

    @contextmanager
    def database(self) -> Iterator[Any]:
        """Open the database of the daemon past it, each statement in a transaction of its own.

        Statements have the parameters of SQLite, rows are read by name or position.
        """
        if stores.kind == "postgres":
            writer = connect_writer(stores.dsn_of(self.root))
            with closing(writer.connection):
                yield writer
        else:
            with closing(sqlite3.connect(self.state / DATABASE, isolation_level=None)) as db:
                db.row_factory = sqlite3.Row
                db.execute("PRAGMA wal_autocheckpoint=0")
                yield db

    def remove(self) -> None:
        """Kill everything that was started here, and remove the directory."""
        self.kill()
        end_processes(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        stores.drop(self.root)

    def processes(self) -> list[int]:
        """Return the processes that `processes_in` finds for this directory, but for the daemon."""
        daemon = self.process.pid if self.process else 0
        return [pid for pid in processes_in(self.root) if pid != daemon]

    def wait_until_clean(self) -> None:
        """Wait until no process and no removed checkout is left."""
        wait_until(
            lambda: not self.processes() and not list(self.state.glob("checkouts/.done-*")),
            "no process and no removed checkout is left",
        )

    def has_process(self, word: str) -> bool:
        """Return whether a process of this directory has a word on its command line."""
        for pid in self.processes():
            with suppress(OSError):
                if word.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    return True
        return False

    def log_tail(self, lines: int = 30) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else "(nothing)"
        return "\n".join(text.splitlines()[-lines:])

    def request(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request to the Unix socket; a body other than bytes is sent as JSON."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        kind = {"Content-Type": "application/json"} if content is not None else {}
        return send_request(UnixConnection(self.socket), method, path, content, {**kind, **(headers or {})})

    def get(self, path: str, status: int = 200) -> Any:
        reply = self.request("GET", path)
        assert reply.status == status, reply.body
        return reply.json

    def public(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}) -> Reply:
        """Send a request to the TCP listener."""
        return send_request(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT), method, path, body, headers)

    def github(self, body: bytes, *, secret: str | None = None, **headers: str) -> Reply:
        """Deliver a signed body like GitHub; names of headers may have _ for -."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.public("POST", "/stitcher/webhook/github", body, {**signed_headers(body, secret), **given})

    def comment(self, text: str, *, issue: int = 479, login: str = "octocat", **headers: str) -> Reply:
        """Deliver a new comment on an issue."""
        return self.github(comment_body(text, issue=issue, login=login), **headers)

    def mosaic(self, **fields: object) -> Reply:
        """Deliver a body in the format of the @mosaic bot."""
        body = json.dumps({"issueNumber": "1", "repository": "octo-org/api", "action": "mentioned", **fields}).encode()
        proof = f"sha256={hmac.digest(SECRETS['mosaic'].encode(), body, 'sha256').hex()}"
        headers = {"Content-Type": "application/json", "X-Mosaic-Signature": proof}
        return self.public("POST", "/stitcher/webhook", body, headers)

    def dispatch(self, type_: str, script: str = "true", repository: str | None = "octo-org/api", **more: Any) -> str:
        """Dispatch a job whose agent runs `script`, one line of shell; return its id."""
        reply = self.request(
            "POST", "/runner-jobs", {"type": type_, "prompt": script, "repository": repository, **more}
        )
        assert reply.status == 201, reply.body
        return str(reply.json["id"])

    def job(self, job_id: str) -> Any:
        return self.get(f"/runner-jobs/{job_id}")

    def wait(self, job_id: str, *statuses: str, limit: float = TIMEOUT) -> Any:
        """Wait until a job has one of the statuses, by default a final one, for `limit` seconds; return the job."""
        wanted = statuses or FINAL_STATUSES

        def found() -> Any:
            job = self.job(job_id)
            assert job["status"] in wanted or job["status"] not in FINAL_STATUSES, (
                job["status"],
                job["error"],
                job["steps"],
            )
            return job if job["status"] in wanted else None

        return wait_until(found, f"job {job_id} {wanted}", limit)

    def run(self, type_: str, script: str = "true", **more: Any) -> Any:
        """Dispatch a job, and return it when it is finished."""
        return self.wait(self.dispatch(type_, script, **more))

    def step(self, job_id: str, name: str, status: str = "RUNNING") -> Any:
        """Wait until a step has a status; return the job."""

        def found() -> Any:
            job = self.job(job_id)
            return job if any((it["name"], it["status"]) == (name, status) for it in job["steps"]) else None

        return wait_until(found, f"step {name} of {job_id} {status}")

    def git(self, *words: str) -> str:
        """Run git in the repository that jobs publish to."""
        return git(f"--git-dir={self.repository}", *words)

    def stream(self, path: str, count: int) -> list[bytes]:
        """Return the first frames of an event stream."""
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            return [b"".join(iter(response.readline, b"\n")) for _ in range(count)]
        finally:
            connection.close()

    def set_hook(self, script: str, name: str = "pre-receive") -> None:
        """Install a hook in the repository."""
        path = self.repository / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def cli(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `stitcher` against this daemon, without a terminal."""
        argv = [sys.executable, "-m", "tui", "--socket", str(self.socket), *words]
        return subprocess.run(
            argv, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=TIMEOUT * 2, check=False
        )

    def configure(self, settings: str) -> None:
        """Add tables to the settings of the next start."""
        self._pieces["settings"] += settings

    def write_settings(self) -> None:
        self.port = free_port()
        text = (HERE / "stitcherd.toml").read_text()
        places = {"root": str(self.root), "port": str(self.port), "token": hashlib.sha256(TOKEN.encode()).hexdigest()}
        for name, value in {**places, **self._pieces}.items():
            text = text.replace(f"@{name}@", value)
        (self.config / "stitcherd.toml").write_text(text)

    def _is_ready(self, process: subprocess.Popen[bytes]) -> bool:
        deadline = time.monotonic() + TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if self.public("GET", "/readyz").status == 200:
                    return True
            except OSError:
                time.sleep(0.02)
        return False


def spawn(argv: Sequence[str], log: Path, **secrets: str) -> subprocess.Popen[bytes]:
    """Start a daemon or a worker, with its log appended to a file."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("STITCHER_", "GIT_"))}
    environ |= {"E2E_ALLOWED": "yes", "E2E_HIDDEN": "not for agents", **secrets}
    with log.open("ab") as output:
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def agent_output(job: Any) -> str:
    """Return what the agent of a job printed in its first try."""
    return next(str(step["output"]) for step in job["steps"] if step["type"] == "AI_ACTION")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_until(look: Callable[[], T | None], what: str, limit: float = TIMEOUT) -> T:
    """Return the first true result of `look`; raises AssertionError after `limit` seconds."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        if seen := look():
            return seen
        time.sleep(0.02)
    raise AssertionError(f"not within {limit:g} s: {what}")
