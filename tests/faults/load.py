"""Sends signed webhooks that become jobs, from several threads, and keeps what was answered to each."""

import json
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.harness import DaemonHarness
from tests.e2e.http_client import TIMEOUT
from tests.e2e.webhooks import comment_body, signed_headers
from tests.faults.history import Delivery, Told

POSTERS = 8
REDELIVERED = 0.5  # share of the deliveries without a 202 that are sent again
CANCELLED = 0.03  # share of the jobs that are cancelled at once
SLOW = 0.1  # share of the agents that take a while
JOIN_SECONDS = 60.0
ISSUES = 1_000_000  # that a poster comments on, each once; others have other RANGES of them
RANGES = 2_000
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


class Load:
    """Sends about `per_second` deliveries a second while its context is open; afterwards `deliveries` has them all.

    `script` returns what an agent runs, given what it does last; it notes in a file that it was started.
    """

    def __init__(
        self, daemon: DaemonHarness, seed: int, per_second: float, script: Callable[[str], str] | None = None
    ) -> None:
        self._enough = threading.Event()
        pause, script = POSTERS / per_second, script or partial(_noting, daemon.root / "witness")
        numbers = range(seed * POSTERS, (seed + 1) * POSTERS)
        self._posters = [_Poster(daemon, number, pause, script, self._enough) for number in numbers]

    def __enter__(self) -> Self:
        for poster in self._posters:
            poster.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._enough.set()
        for poster in self._posters:
            poster.join(JOIN_SECONDS)
        if error is None and (failed := [each for each in self._posters if each.is_alive() or each.surprises]):
            raise AssertionError(f"a poster hangs, or got what nobody should get: {failed[0].surprises}")

    @property
    def deliveries(self) -> list[Delivery]:
        return [each for poster in self._posters for each in poster.deliveries]

    @property
    def accepted(self) -> int:
        return sum(poster.accepted for poster in self._posters)


def _noting(witness: Path, then: str) -> str:
    """Return the script of an agent that notes its place in a file, and then does something."""
    return f"echo $STITCHER_JOB_ID $STITCHER_ATTEMPT $STITCHER_TRY >> {witness}; {then}"


class _Poster(threading.Thread):
    def __init__(
        self,
        daemon: DaemonHarness,
        number: int,
        pause: float,
        script: Callable[[str], str],
        enough: threading.Event,
    ) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._chance = random.Random(number)
        first = number % RANGES * ISSUES + 1
        self._issues = range(first, first + ISSUES)
        self._pause = pause
        self._script = script
        self._enough = enough
        self._connection: HTTPConnection | None = None
        self.deliveries: list[Delivery] = []
        self.accepted = 0
        self.surprises: list[Any] = []

    def run(self) -> None:
        due = time.monotonic()
        for issue in self._issues:
            due = max(due + self._pause, time.monotonic() - self._pause)
            if self._enough.wait(max(0.0, due - time.monotonic())):
                break
            self._deliver(issue)
        if self._connection is not None:
            self._connection.close()

    def _deliver(self, issue: int) -> None:
        type_ = self._chance.choice(["once", "again"])
        then = f"sleep 0.0{self._chance.randrange(10)}" if self._chance.random() < SLOW else "true"
        body = comment_body(f"@mosaic {type_} {self._script(then)}", issue=issue)
        body = body.replace(b'"repository"', b'"elsewhere"')  # a checkout would make each job ten times slower
        headers = signed_headers(body)
        delivery = Delivery(headers["X-GitHub-Delivery"])
        if not self._connect():
            return
        self.deliveries.append(delivery)
        while True:
            self._post(delivery, body, headers)
            if delivery.told is Told.ACCEPTED:
                break
            if self._chance.random() > REDELIVERED or self._enough.wait(0.05) or not self._connect():
                return
        self.accepted += 1
        if self._chance.random() < CANCELLED:
            self._cancel(delivery)

    def _connect(self) -> bool:
        """Connect if there is no connection; return False once it is enough: what was not sent is no delivery."""
        while self._connection is None:
            connection = HTTPConnection("127.0.0.1", self._daemon.port, timeout=TIMEOUT)
            try:
                connection.connect()
            except OSError:
                connection.close()
                if self._enough.wait(0.02):
                    return False
            else:
                self._connection = connection
        return True

    def _post(self, delivery: Delivery, body: bytes, headers: dict[str, str]) -> None:
        assert self._connection is not None
        try:
            self._connection.request("POST", "/stitcher/webhook/github", body, headers)
            response = self._connection.getresponse()
            status, content = response.status, response.read()
        except (OSError, HTTPException):
            self._connection.close()
            self._connection = None
            delivery.told, delivery.refused_only = Told.UNKNOWN, False
            return
        if status in {200, 202}:
            answer = json.loads(content)
            if (status, answer["verdict"]) not in {(202, "allowed"), (200, "duplicate")}:
                self.surprises.append((status, content))
            delivery.told, delivery.job_id = Told.ACCEPTED, answer["jobId"]
            return
        if b'"code"' not in content:  # another program has taken the port while the daemon was down
            delivery.told, delivery.refused_only = Told.UNKNOWN, False
            return
        delivery.told = Told.REFUSED
        if status != 503:
            self.surprises.append((status, content))

    def _cancel(self, delivery: Delivery) -> None:
        try:
            reply = self._daemon.request("POST", f"/runner-jobs/{delivery.job_id}/cancel")
        except (OSError, HTTPException):
            return  # unknown whether the daemon received it
        delivery.cancelled = reply.status == 202
        if reply.status not in {202, 409, 503}:
            self.surprises.append(reply)
