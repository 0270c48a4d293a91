"""Repeated crashes under load: accepted deliveries are kept, their jobs finish, and nothing starts twice."""

import os
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from http.client import HTTPException
from typing import Any

from shared.models import Status
from stitcherd.store import lifecycle
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import Reply
from tests.e2e.webhooks import comment_body, signed_headers

KILLS = int(os.environ.get("E2E_KILLS", "20"))
SEED = int(os.environ.get("E2E_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
POSTERS = 8
LIFE_SECONDS = 0.6  # maximum life of a daemon that is ready
KILL_SECONDS = 1.5  # average time for each kill: a slower machine gets fewer
KILLED_AT_START = 0.25  # share of the daemons that are killed while they start
PAUSE_SECONDS = 0.1  # maximum pause of a poster between two deliveries
DRAIN_SECONDS = 60.0

RAILS = """\
version: 1
people: {team: {users: ["github:octocat"]}}
profiles: {weaver: {capabilities: [repo:read], executor: agent, timeout: 1m}}
jobs:
  once: {profile: weaver}
  again: {profile: weaver, on_interrupt: retry}
triggers:
  - {id: once-on-command, on: [issue.comment], command: once, from: [team], job: once}
  - {id: again-on-command, on: [issue.comment], command: again, from: [team], job: again}
"""
STATUS_OF = {
    "job.queued": Status.QUEUED,
    "job.started": Status.RUNNING,
    "job.completed": Status.COMPLETED,
    "job.failed": Status.FAILED,
    "job.cancelled": Status.CANCELLED,
}


class Poster(threading.Thread):
    """Sends deliveries, each on its own thread, and repeats each until it is answered; cancels some of the jobs."""

    def __init__(self, daemon: DaemonHarness, number: int, enough: threading.Event) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._chance = random.Random(SEED + number)
        self._issues = range(number * 1_000_000 + 1, (number + 1) * 1_000_000)
        self._enough = enough
        self.answered: list[str] = []
        self.cancelled: list[str] = []
        self.surprises: list[object] = []

    def run(self) -> None:
        for issue in self._issues:
            if self._enough.is_set():
                return
            witness = f"echo $STITCHER_JOB_ID $STITCHER_ATTEMPT $STITCHER_TRY >> {self._daemon.root}/witness"
            type_ = self._chance.choice(["once", "again"])
            body = comment_body(f"@mosaic {type_} {witness}; sleep 0.0{self._chance.randrange(10)}", issue=issue)
            body = body.replace(b'"repository"', b'"elsewhere"')  # a checkout would make each job ten times slower
            job_id = self._deliver(body, signed_headers(body))
            if self._chance.random() < 0.1:
                self._cancel(job_id)
            time.sleep(self._chance.uniform(0, PAUSE_SECONDS))

    def _deliver(self, body: bytes, headers: dict[str, str]) -> str:
        while True:
            reply = self._try("POST", "/stitcher/webhook/github", body, headers)
            if reply is None or reply.status == 503:
                time.sleep(0.02)
                continue
            answer = reply.json
            if (reply.status, answer.get("verdict")) not in {(202, "allowed"), (200, "duplicate")}:
                self.surprises.append(reply)
            self.answered.append(answer["jobId"])
            return str(answer["jobId"])

    def _try(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply | None:
        try:
            return self._daemon.public(method, path, body, headers)
        except (OSError, HTTPException):
            return None

    def _cancel(self, job_id: str) -> None:
        try:
            reply = self._daemon.request("POST", f"/runner-jobs/{job_id}/cancel")
        except (OSError, HTTPException):
            return  # unknown whether the daemon received it
        if reply.status == 202:
            self.cancelled.append(job_id)
        elif reply.status not in {409, 503}:
            self.surprises.append(reply)


def test_nothing_is_lost_and_nothing_runs_twice(build: BuildDaemon) -> None:
    sys.stdout.write(f"E2E_SEED={SEED} E2E_KILLS={KILLS}\n")  # shown if the test fails, to repeat the same load
    chance = random.Random(SEED)
    daemon = build(rails=RAILS)
    daemon.start()
    enough = threading.Event()
    posters = [Poster(daemon, number, enough) for number in range(POSTERS)]
    for poster in posters:
        poster.start()
    late = time.monotonic() + KILLS * KILL_SECONDS
    kills = 0
    while kills < KILLS and time.monotonic() < late:
        if chance.random() > KILLED_AT_START:
            daemon.await_ready()
        time.sleep(chance.uniform(0, LIFE_SECONDS))
        daemon.kill()
        kills += 1
        daemon.spawn()
    daemon.await_ready()
    enough.set()
    for poster in posters:
        poster.join(DRAIN_SECONDS)
        assert (poster.is_alive(), poster.surprises) == (False, [])
    wait_until(lambda: not unfinished(daemon), "every job is over", DRAIN_SECONDS)
    verified = daemon.cli("audit", "verify")
    assert verified.returncode == 0, verified.stdout
    assert daemon.stop() == 0
    daemon.wait_until_clean()
    answered = [job_id for poster in posters for job_id in poster.answered]
    cancelled = {job_id for poster in posters for job_id in poster.cancelled}
    sys.stdout.write(f"{kills} kills, {len(answered)} answered, {len(cancelled)} cancelled\n")
    check_results(daemon, answered, cancelled)


def unfinished(daemon: DaemonHarness) -> int:
    counts = daemon.get("/runner-jobs?limit=1")["counts"]
    return int(counts["pending"] + counts["queued"] + counts["running"])


def check_results(daemon: DaemonHarness, answered: list[str], cancelled: set[str]) -> None:
    """Compare the responses with the store, and with the file that the agents write."""
    with sqlite3.connect(f"file:{daemon.state}/stitcher.db?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        jobs = {row["id"]: row for row in db.execute("SELECT * FROM jobs")}
        counts = {row["status"]: row["n"] for row in db.execute("SELECT status, n FROM job_counts WHERE n")}
        histories = history(db)
    db.close()
    # Each delivery created one job, and there are no other jobs.
    assert Counter(answered) == Counter(list(jobs))
    assert counts == Counter(row["status"] for row in jobs.values())
    lines = (daemon.root / "witness").read_text().splitlines()
    started = Counter(lines)
    assert [line for line, times in started.items() if times > 1] == []
    seen = {line.split()[0] for line in lines}
    for job_id, row in jobs.items():
        code = row["error"] and row["error"].split('"code":"')[1].split('"')[0]
        match row["status"], row["type"]:
            case "COMPLETED", _:
                assert job_id in seen
                assert job_id not in cancelled
            case "FAILED", "once":
                assert code == "interrupted"
            case "CANCELLED", _:
                assert row["cancel_requested"]
            case status:
                raise AssertionError((job_id, status, code))
        assert_valid_history(histories[row["key"]], Status(row["status"]))
    assert cancelled <= {job_id for job_id, row in jobs.items() if row["status"] == "CANCELLED"}


def history(db: sqlite3.Connection) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for job, type_ in db.execute("SELECT job, type FROM events WHERE job IS NOT NULL ORDER BY id"):
        found.setdefault(job, []).append(type_)
    return found


def assert_valid_history(events: list[Any], last: Status) -> None:
    before: Status | None = None
    for after in (STATUS_OF[type_] for type_ in events if type_ in STATUS_OF):
        assert after in lifecycle.NEXT[before], events
        before = after
    assert before is last
