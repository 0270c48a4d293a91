"""A fake daemon with its own jobs, events and logs, behind a real Unix socket."""

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.tui import documents
from tests.tui.documents import Document

Answer = tuple[int, Any]


class FakeDaemon(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves what a test puts into it; `jobs` are newest first, and `requests` has every request and its body."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), FakeDaemonHandler)
        self.path = path
        self.instance = "one"
        self.jobs: list[Document] = []
        self.details: dict[str, Document] = {}
        self.logs: dict[str, bytes] = {}
        self.conversations: dict[str, bytes] = {}
        self.raw_logs: dict[str, bytes] = {}
        self.diffs: dict[str, bytes] = {}  # by job and attempt
        self.deliveries: list[Document] = []
        self.rails: Document = dict(RAILS)
        self.events: list[Document] = []
        self.pulse: Document = dict(PULSE)
        self.stats: dict[str, list[Document]] = {}  # the items, by grouping
        self.bulk: Document | None = None
        self.checks: list[Document] = []
        self.simulation: Document = dict(SIMULATION)
        self.refused_filter = ""
        self.pruned = 0  # the newest event that retention has removed
        self.dispatch_error: Document | None = None  # the answer to every dispatch
        self.unreachable = False  # answer no request
        self.requests: list[tuple[str, Any]] = []
        self.changed = threading.Condition()

    def job(self, number: int, **more: Any) -> dict[str, Any]:
        """Add a job as the newest."""
        job_id = f"0199f3a1-5c2f-7a60-8e21-{number:012x}"
        job: Document = documents.job(id=job_id, **more)
        job["thread"] = {**job["thread"], "number": number} if job["thread"] else None
        self.jobs.insert(0, job)
        return job

    def fill(self, number: int) -> None:
        """Add jobs 1 to `number`, with each status in turn."""
        statuses = ("COMPLETED", "FAILED", "RUNNING", "QUEUED", "CANCELLED", "PENDING")
        for at in range(1, number + 1):
            self.job(at, status=statuses[at % 6], tries={"used": 1, "max": 3})

    def commit_event(self, type_: str, job: Document | None = None, step: str | None = None, **payload: Any) -> None:
        """Append an event; the job must be in its new state already."""
        with self.changed:
            number = self.events[-1]["id"] + 1 if self.events else 1
            event = documents.event(number, type_, step, **payload)
            self.events.append({**event, "jobId": job["id"] if job else None})
            self.changed.notify_all()

    def change_rails(self) -> None:
        """Put other rails in force, with three changed rules."""
        before = self.rails["text"].replace("weaver", "tailor")
        self.rails |= {"before": "r-51bc0000", "changes": RAILS_CHANGES, "beforeText": before}

    def reload_rails(self, before: str | None = "51bc0000") -> None:
        """Tell of a valid rails file; `before` is the digest of the rails until then, None at the daemon's start."""
        self.commit_event("rails.reloaded", digest="4f2a91c0", beforeDigest=before)

    def disconnect(self, *, unreachable: bool = True) -> None:
        """End every event stream, and by default answer nothing any more."""
        with self.changed:
            self.unreachable = unreachable
            self.changed.notify_all()

    @property
    def cursor(self) -> int:
        return int(self.events[-1]["id"]) if self.events else 0

    def find(self, name: str) -> Document | None:
        return next((job for job in self.jobs if job["id"].endswith(name)), None)


RAILS_CHANGES = [
    {"what": "trigger fix-on-command", "change": "changed", "keys": ["repos"], "line": 6},
    {"what": "guard freeze", "change": "added", "keys": [], "line": 7},
    {"what": "group team", "change": "removed", "keys": [], "line": None},
]
RAILS = {
    "revision": "r-4f2a91c0",
    "loadedAt": "2026-11-22T13:58:00.000Z",
    "mode": "enforce",
    "path": "rails.yaml",
    "text": "version: 1\nmode: enforce\n\njobs:\n  fix:\n    profile: weaver\n    tries: 3\n",
    "warnings": [{"line": 6, "column": 5, "message": "weaver may do nothing"}],
    "error": None,
}
SIMULATION: Document = {
    "revision": "r-new",
    "warnings": [],
    "deliveries": 1000,
    "changed": [],
    "counts": {},
    "skipped": {},
}
PULSE: Document = {
    "ended": [0, 0, 2, 5, 9, 5, 2, 14],
    "queued": 3,
    "oldestQueuedAt": "2026-11-22T14:04:48.000Z",
    "paused": False,
    "pausedBy": None,
    "reason": None,
}
EMPTY: Document = {
    "prompt": "p",
    "result": None,
    "metadata": {},
    "steps": [],
    "events": [],
    "decision": None,
}


class FakeDaemonHandler(BaseHTTPRequestHandler):
    server: FakeDaemon

    def do_GET(self) -> None:
        daemon = self.server
        if daemon.unreachable:
            self.close_connection = True
            return
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        daemon.requests.append((f"GET {self.path}", None))
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if parts == ["events"]:
            self._stream(query)
        elif len(parts) == 5 and parts[4] == "log":
            self._log((daemon.raw_logs if "raw" in query else daemon.logs).get(parts[3]))
        elif len(parts) == 5 and parts[4] == "conversation":
            self._log(daemon.conversations.get(parts[3]))
        elif parts[2:] == ["diff"]:
            self._log(daemon.diffs.get(f"{parts[1]}/{query['attempt'][0]}"))
        else:
            self._send(*self._answer(parts, query))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((f"POST {self.path}", body))
        parts = self.path.strip("/").split("/")
        if parts == ["runner-jobs", "bulk"]:
            failed = [job for job in self.server.jobs if job["status"] == "FAILED"]
            items = [{"id": job["id"], "ok": True, "status": job["status"]} for job in failed]
            self._send(200, self.server.bulk or {"matched": len(items), "items": items})
        elif parts[0] == "runner-jobs" and len(parts) == 3:
            job = self.server.find(parts[1])
            possible = {
                "cancel": ("PENDING", "QUEUED", "RUNNING"),
                "retry": ("FAILED", "CANCELLED"),
                "approve": ("PENDING",),
                "deny": ("PENDING",),
            }[parts[2]]
            if job and job["status"] in possible:
                self._send(202, job)
            else:
                self._problem(409, f"not_{parts[2]}able", f"job is {job and job['status']}")
        elif parts in (["pause"], ["resume"]):
            self.server.pulse = {**PULSE, "paused": parts == ["pause"], "reason": body.get("reason")}
            more = {"since": None, "actor": None, "reason": None, "running": ["x"], "queued": 3}
            self._send(200, {"paused": parts == ["pause"], **more})
        elif parts == ["rails", "simulate"]:
            self._send(self.server.simulation.get("status", 200), self.server.simulation)
        elif parts[0] == "deliveries" and parts[2:] == ["replay"]:
            answer = {"deliveryId": parts[1], "verdict": "allowed", "jobId": None, "status": None, "reason": "replayed"}
            self._send(200, {**answer, **({"decision": documents.DECISION} if body.get("dryRun") else {})})
        elif parts == ["runner-jobs"] and self.server.dispatch_error:
            self._send(self.server.dispatch_error["status"], self.server.dispatch_error)
        elif parts == ["runner-jobs"]:
            self._send(201, self.server.job(len(self.server.jobs) + 1, type=body["type"], status="QUEUED"))
        else:
            self._problem(404, "not_found", "no such route")

    def _answer(self, parts: list[str], query: dict[str, list[str]]) -> Answer:
        daemon = self.server
        answer: Answer = (404, documents.problem(404, "not_found", f"there is no {'/'.join(parts)}"))
        match parts:
            case ["meta"]:
                meta = {"version": "0.1.0", "api": "1", "instance": daemon.instance, "pid": 1, "startedAt": "x"}
                answer = (200, meta)
            case ["pulse" | "rails" as name]:
                answer = (200, {"pulse": daemon.pulse, "rails": daemon.rails}[name])
            case ["stats"]:
                [by] = query["by"]
                since = {"since": "2026-11-20T14:00:00.000Z"} if by == "hour" else {}
                answer = (200, {**documents.stats(*daemon.stats.get(by, []), by=by), **since})
            case ["readyz"]:
                well = all(check["ok"] for check in daemon.checks)
                answer = (200 if well else 503, {"ready": well, "checks": daemon.checks})
            case ["runner-jobs"]:
                answer = self._jobs(query)
            case ["runner-jobs", name, *what] if job := daemon.find(name):
                whole = {**job, **EMPTY, **daemon.details.get(job["id"], {})}
                answer = (200, {"items": whole.get("past", whole["events"]), "next": None} if what else whole)
            case ["deliveries"]:
                answer = self._deliveries(query)
            case ["deliveries", name] if found := [each for each in daemon.deliveries if each["id"].endswith(name)]:
                answer = (200, found[0])
            case ["deliveries", _, "body"]:
                answer = (200, b'{"action":"created"}')
        return answer

    def _deliveries(self, query: dict[str, list[str]]) -> Answer:
        found = self.server.deliveries
        if before := query.get("before"):
            at = next(at for at, each in enumerate(found) if each["id"] == before[0])
            found = found[at + 1 :]
        limit = int(query["limit"][0])
        return 200, {"items": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else None}

    def _jobs(self, query: dict[str, list[str]]) -> Answer:
        daemon = self.server
        text = query.get("q", [""])[0]
        if text and text == daemon.refused_filter:
            return 422, documents.problem(422, "invalid", f"{text} is not for this daemon", column=1)
        statuses = query.get("status")
        found = [job for job in daemon.jobs if not statuses or job["status"] in statuses]
        found = [job for job in found if text in f"{job['repository']}#{job['thread'] and job['thread']['number']}"]
        if before := query.get("before"):
            at = next(at for at, job in enumerate(daemon.jobs) if job["id"] == before[0])
            found = [job for job in found if job in daemon.jobs[at + 1 :]]
        limit = int(query.get("limit", ["100"])[0])
        names = ("PENDING", "QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")
        return 200, {
            "items": found[:limit],
            "next": found[limit - 1]["id"] if len(found) > limit else None,
            "cursor": daemon.cursor,
            "counts": {name.lower(): sum(job["status"] == name for job in daemon.jobs) for name in names},
        }

    def _stream(self, query: dict[str, list[str]]) -> None:
        daemon = self.server
        cursor = int(query.get("after", [str(daemon.cursor)])[0])
        if 0 < cursor < daemon.pruned:
            self._problem(410, "cursor_expired", "too old")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        while not daemon.unreachable:
            with daemon.changed:
                if daemon.cursor <= cursor and not daemon.unreachable:
                    daemon.changed.wait(0.5)
                new = [event for event in daemon.events if event["id"] > cursor]
            frames = [f"id: {each['id']}\nevent: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in new]
            cursor = new[-1]["id"] if new else cursor
            try:
                self.wfile.write("".join(frames or [f"id: {cursor}\ndata:\n\n"]).encode())
            except OSError:
                return

    def _log(self, content: bytes | None) -> None:
        if content is None:
            self._problem(404, "not_found", "the log of this step is past its retention")
            return
        first, _, last = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start = int(first) if first else max(len(content) - int(last), 0)
        end = min(int(last) if last and first else len(content) - 1, len(content) - 1)
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        part = content[start : end + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        self.wfile.write(part)

    def _problem(self, status: int, code: str, detail: str) -> None:
        self._send(status, documents.problem(status, code, detail))

    def _send(self, status: int, document: Any) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass
