"""Clients of the event stream that go on at another daemon, while daemons are killed: each event once, in order."""

import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException, HTTPResponse
from itertools import count, pairwise
from typing import NamedTuple

from tests.e2e.harness import TOKEN, DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body
from tests.e2e.workers import Witness
from tests.faults.load import ISSUES, RANGES, Load
from tests.faults.nodes import Cluster, running_cluster
from tests.faults.under_load import Options, Row, unfinished

EVENTS, KILLS, READERS = 10_000, 15, 3
PER_SECOND = 40.0  # webhooks at most: six processes and the server share the machine
LIFE_SECONDS = 3.0  # of both daemons, between two kills
STAY_EVENTS = 600  # after which a client disconnects by itself, at most
SILENCE_SECONDS = 2.0  # after which it does too
ANSWER_SECONDS = 2.0  # in which the other daemon answers, on a machine that is busy
LIMIT_SECONDS = 120.0


class Seen(NamedTuple):
    """An event as a client or the database has it."""

    id: int
    type: str
    hash: str


class Reader(threading.Thread):
    """Follows all events from the first one on, at one daemon after the other, with the cursor that it has."""

    def __init__(self, daemons: Sequence[DaemonHarness], seed: str) -> None:
        super().__init__(daemon=True)
        self.seen: list[Seen] = []
        self.ends: Counter[str] = Counter()  # of its connections, by what ended them
        self.last: int | None = None  # the event after which it ends, once that is known
        self._daemons = daemons
        self._chance = random.Random(seed)

    @property
    def cursor(self) -> int:
        return self.seen[-1].id if self.seen else 0

    def run(self) -> None:
        turn = self._chance.randrange(len(self._daemons))
        while self.last is None or self.cursor < self.last:
            turn += 1
            daemon = self._daemons[turn % len(self._daemons)]
            connection = HTTPConnection("127.0.0.1", daemon.port, timeout=SILENCE_SECONDS)
            try:
                headers = {"Authorization": f"Bearer {TOKEN}", "Last-Event-ID": str(self.cursor)}
                connection.request("GET", "/events", headers=headers)
                self._follow(connection.getresponse())
            except TimeoutError:
                self.ends["silence"] += 1
            except ConnectionRefusedError:
                time.sleep(0.02)
            except (OSError, HTTPException):
                self.ends["lost"] += 1
            finally:
                connection.close()

    def _follow(self, response: HTTPResponse) -> None:
        assert response.status == 200, response.read()
        for _ in range(self._chance.randint(1, STAY_EVENTS)):
            fields = dict(line.decode().rstrip("\n").partition(": ")[::2] for line in _frame(response))
            if fields.get("event"):
                self.seen.append(Seen(int(fields["id"]), fields["event"], json.loads(fields["data"])["hash"]))
        self.ends["disconnected"] += 1


def _frame(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of one frame of the stream; raises ConnectionResetError if it breaks off."""
    while (line := response.readline()) != b"\n":
        if not line:
            raise ConnectionResetError
        yield line


def streams(options: Options) -> list[Row]:
    """Kill one daemon after the other while clients follow the events that six processes write."""
    with running_cluster() as cluster:
        cluster.await_joined()
        return [_followed(cluster, options)]


def _followed(cluster: Cluster, options: Options) -> Row:
    readers = [Reader(cluster.daemons, f"{options.seed} {number}") for number in range(READERS)]
    witness = Witness(cluster.daemons[0].root)
    rate = min(options.per_second, PER_SECOND) / len(cluster.daemons)
    loads = [Load(each, options.seed + n, rate, witness.script) for n, each in enumerate(cluster.daemons)]
    for reader in readers:
        reader.start()
    try:
        with ExitStack() as stack:
            for load in loads:
                stack.enter_context(load)
            answered = list(_kill_daemons(cluster, options))
            enough = options.times(EVENTS)
            wait_until(lambda: len(_stored(cluster)) >= enough, f"{enough} events", LIMIT_SECONDS)
        wait_until(lambda: not unfinished(cluster.daemons[0]), "every job has ended", LIMIT_SECONDS)
        stored = _stored(cluster)
        for reader in readers:
            reader.last = stored[-1].id
        for reader in readers:
            reader.join(LIMIT_SECONDS)
        assert not [reader for reader in readers if reader.is_alive()], "a client does not reach the last event"
    except AssertionError as error:
        return Row("clients of the stream", 0, by_hand=1, notes=[str(error), cluster.daemons[0].log_tail()])
    ends = sum((reader.ends for reader in readers), Counter[str]())
    lost = doubled = 0
    for reader in readers:
        seen = [each for each in reader.seen if each.id <= stored[-1].id]
        lost += len(set(stored) - set(seen))
        doubled += len(seen) - len(set(seen)) + sum(after.id <= before.id for before, after in pairwise(seen))
        doubled += len(set(seen) - set(stored))
    before, after = zip(*answered, strict=True)
    late = sum(each > ANSWER_SECONDS for each in after)
    ended = ", ".join(f"{times} {name}" for name, times in ends.items())
    notes = [
        f"{len(stored)} events, {READERS} clients, whose connections ended: {ended}",
        f"a webhook at the other daemon, before a kill: {_figures(before)}, after: {_figures(after)}",
    ]
    return Row("clients of the stream", len(answered), len(stored), lost, doubled, late, notes)


def _figures(seconds: Sequence[float]) -> str:
    return f"p50 {statistics.median(seconds) * 1000:.0f} ms, at most {max(seconds) * 1000:.0f} ms"


def _kill_daemons(cluster: Cluster, options: Options) -> Iterator[tuple[float, float]]:
    """Kill one daemon after the other; yield how long (s) the other took for a webhook before, and at once after."""
    chance = random.Random(f"{options.seed} daemons")
    issues = count(RANGES * ISSUES + 1)
    for _ in range(options.times(KILLS)):
        time.sleep(chance.uniform(0, LIFE_SECONDS))
        killed, other = chance.sample(cluster.daemons, 2)
        before = _answered(other, next(issues))
        killed.kill()
        yield before, _answered(other, next(issues))
        cluster.await_ready()


def _answered(daemon: DaemonHarness, issue: int) -> float:
    """Return after how many seconds a webhook has become a job."""
    body = comment_body("@mosaic once true", issue=issue)
    began = time.monotonic()
    reply = daemon.github(body.replace(b'"repository"', b'"elsewhere"'))  # so that there is no checkout
    assert reply.status == 202, reply
    return time.monotonic() - began


def _stored(cluster: Cluster) -> list[Seen]:
    rows = cluster.rows("SELECT id, type, encode(hash, 'hex') AS hash FROM events ORDER BY id")
    return [Seen(row["id"], row["type"], row["hash"]) for row in rows]
