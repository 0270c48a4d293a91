"""The limits of the rails in a cluster: exact for all processes together, also while these are killed."""

import json
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Self

import psycopg

from shared.ids import now_ms
from shared.models import Status
from stitcherd.budget import next_day
from tests.e2e.harness import wait_until
from tests.e2e.http_client import Reply
from tests.e2e.webhooks import comment_body, signed_headers
from tests.faults.history import STATUS_OF
from tests.faults.load import RAILS
from tests.faults.nodes import Cluster, running_cluster
from tests.faults.under_load import Options, Row

RUNNING = 3
JOBS, AGENT_SECONDS = 240, 0.25
LIFE_SECONDS = 1.0  # between two kills, at most
RATE, DELIVERIES = 10, 50
BUDGET, SPENDERS = 5, 12  # dollars a day, and jobs that use one each
LONGEST_MS = 120_000  # of the budget's test: across midnight it would find a new day
DRAIN_SECONDS = 120.0
LIMITS = (
    f"limits: {{running: {{total: {RUNNING}}}, rate: {{per_repo: {RATE}/h}}, budget: {{per_day: {{usd: {BUDGET}}}}}}}\n"
)
SPENDER_RAILS = RAILS.replace(
    "profiles: {", "profiles: {spender: {capabilities: [repo:read], executor: spender, timeout: 1m}, "
).replace("jobs:", "jobs:\n  spend: {profile: spender}")
SPENT = json.dumps({"type": "result", "subtype": "success", "is_error": False, "total_cost_usd": 1.0, "result": "done"})
SPENDER = f"""
[executors.spender]
kind = "command"
output = "claude"
argv = ["printf", "%s\\n", {json.dumps(SPENT)}]
"""
# Notes when it begins, and every 10 ms that it still runs, so that its life is known where it is killed, too.
AGENT = """\
import os, sys, time
name = "-".join(os.environ[each] for each in ("STITCHER_JOB_ID", "STITCHER_ATTEMPT", "STITCHER_TRY"))
end = time.monotonic_ns() + int(float(sys.argv[2]) * 1e9)
with open(f"{sys.argv[1]}/{name}", "x", buffering=1) as file:
    while (now := time.monotonic_ns()) < end:
        print(now, file=file)
        time.sleep(0.01)
    print(now, file=file)
"""


class Spans:
    """A directory in which each try of an agent notes when it ran, by the monotonic clock of the machine."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory / "spans"
        self._directory.mkdir()
        self._program = directory / "agent.py"
        self._program.write_text(AGENT)

    def script(self, seconds: float) -> str:
        """Return the script of an agent that runs for some time."""
        return f"exec {sys.executable} -IS {self._program} {self._directory} {seconds}"

    def most_at_once(self) -> tuple[int, int]:
        """Return how many agents ran, and how many of them at the same moment."""
        found = [list(map(int, text.split())) for text in map(Path.read_text, self._directory.iterdir())]
        spans = [(each[0], each[-1]) for each in found if each]
        changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])
        return len(spans), _highest(change for _, change in changes)


class Sampling(threading.Thread):
    """Reads again and again, while its context is open, how many jobs are RUNNING."""

    def __init__(self, dsn: str) -> None:
        super().__init__(daemon=True)
        self.samples = 0
        self.most = 0
        self._dsn = dsn
        self._enough = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        with closing(psycopg.connect(self._dsn, autocommit=True)) as db:
            while not self._enough.wait(0.002):
                [(running,)] = db.execute("SELECT count(*) FROM jobs WHERE status = 'RUNNING'").fetchall()
                self.samples += 1
                self.most = max(self.most, running)


def shared_limits(options: Options) -> list[Row]:
    """Let two daemons and four workers reach each limit together."""
    with running_cluster(rails=SPENDER_RAILS + LIMITS, settings=SPENDER) as cluster:
        cluster.await_joined()
        steps: Sequence[Callable[[Cluster, Options], Row]] = (_rate, _running, _pause_and_budget)
        return [step(cluster, options) for step in steps]


def _running(cluster: Cluster, options: Options) -> Row:
    """Run jobs under a limit of three in 24 slots, and kill one process after the other meanwhile."""
    chance, kills = random.Random(f"{options.seed} running"), 0
    spans, jobs = Spans(cluster.daemons[0].root), options.times(JOBS)
    cursor = _newest_event(cluster)
    with Sampling(cluster.dsn) as sampled:
        _dispatch(cluster, jobs, "again", spans.script(AGENT_SECONDS))
        while _unfinished(cluster) and kills < options.kills:
            time.sleep(chance.uniform(0, LIFE_SECONDS))
            busy = {row["worker"] for row in cluster.rows("SELECT worker FROM jobs WHERE status = 'RUNNING'")}
            chance.choice([node for name, node in cluster.by_name.items() if name in busy] or cluster.nodes).kill()
            kills += 1
            cluster.start_ended()
        try:
            wait_until(lambda: not _unfinished(cluster), "every job has ended", DRAIN_SECONDS)
        except AssertionError as error:
            return Row("running jobs", kills, jobs, by_hand=1, notes=[str(error), cluster.daemons[0].log_tail()])
    cluster.await_ready()
    cluster.await_joined()
    agents, at_once = spans.most_at_once()
    recorded = _most_running(cluster, cursor)
    completed = cluster.rows("SELECT count(*) AS n FROM jobs WHERE type = 'again' AND status = 'COMPLETED'")[0]["n"]
    most = max(at_once, sampled.most, recorded)
    notes = [
        f"limit {RUNNING}, {agents} agents ran, at most {at_once} of them at once",
        f"at most {sampled.most} RUNNING in {sampled.samples} samples, {recorded} by the events",
    ]
    return Row("running jobs", kills, jobs, jobs - completed, max(0, most - RUNNING), int(most < RUNNING), notes)


def _rate(cluster: Cluster, _options: Options) -> Row:
    """Send more webhooks at once than an hour may have, half of them to each daemon."""
    barrier = threading.Barrier(DELIVERIES)

    def deliver(number: int) -> tuple[int, str, str]:
        daemon = cluster.daemons[number % len(cluster.daemons)]
        body = comment_body("@mosaic once true", issue=number)
        barrier.wait()
        reply = daemon.public("POST", "/stitcher/webhook/github", body, signed_headers(body))
        answer = reply.json
        return reply.status, str(answer.get("verdict")), str(answer.get("reason", answer)).partition(" is used up")[0]

    with ThreadPoolExecutor(DELIVERIES) as pool:
        told = Counter(pool.map(deliver, range(1, DELIVERIES + 1)))
    accepted = sum(count for (status, verdict, _), count in told.items() if (status, verdict) == (202, "allowed"))
    refused = told[200, "throttled", f"limit per_repo: {RATE}/h for octo-org/api"]
    stored = cluster.rows("SELECT count(*) AS n FROM jobs WHERE repository = 'octo-org/api'")[0]["n"]
    wait_until(lambda: not _unfinished(cluster), "every job has ended", DRAIN_SECONDS)
    notes = [f"{accepted} of {DELIVERIES} accepted and {refused} refused by that limit, {stored} jobs stored"]
    notes += [f"{count} times: {answer}" for answer, count in told.items() if answer[0] not in {200, 202}]
    wrong = DELIVERIES - accepted - refused + abs(stored - accepted)
    return Row("rate of an hour", 1, accepted, max(0, RATE - accepted), max(0, accepted - RATE), wrong, notes)


def _pause_and_budget(cluster: Cluster, _options: Options) -> Row:
    """Pause at one daemon, let jobs be queued, and resume at the other: the budget lets only some of them start."""
    left = next_day(now_ms()) - now_ms()
    if left < LONGEST_MS:
        time.sleep(left / 1000)
    first, second = cluster.daemons
    rails = first.rails.read_text().replace(f"total: {RUNNING}", "total: 1")  # one after the other uses the budget
    for daemon in cluster.daemons:
        daemon.rails.write_text(rails)
    wait_until(lambda: all("total: 1}" in each.get("/rails")["text"] for each in cluster.daemons), "the rails are new")
    assert first.request("POST", "/pause", {}).status == 200
    paused_at = _newest_event(cluster)
    _dispatch(cluster, SPENDERS, "spend", "x")
    wait_until(lambda: _held(cluster, "paused%") == SPENDERS, "all are held by the pause")
    early = len(cluster.rows("SELECT 1 FROM events WHERE type = 'job.started' AND id > %s", paused_at))
    assert second.request("POST", "/resume", {}).status == 200
    held = "limit: the day''s budget%"
    wait_until(lambda: _ended(cluster) + _held(cluster, held) == SPENDERS, "all have ended, or are held", DRAIN_SECONDS)
    completed, waiting = _ended(cluster), _held(cluster, held)
    refused = [_is_refused(daemon.request("POST", "/runner-jobs", {"type": "spend"})) for daemon in cluster.daemons]
    notes = [
        f"{early} started while paused; {completed} of {SPENDERS} used a dollar each of {BUDGET}, {waiting} waited"
    ]
    lost, more = max(0, BUDGET - completed), max(0, completed - BUDGET) + early
    wrong = SPENDERS - completed - waiting + refused.count(False)
    return Row("pause, budget of a day", 1, SPENDERS, lost, more, wrong, notes)


def _is_refused(reply: Reply) -> bool:
    """Say whether a job is refused, as the budget of the day is used up."""
    return reply.status == 429 and reply.json["detail"].startswith("limit budget.per_day")


def _dispatch(cluster: Cluster, count: int, type_: str, prompt: str) -> None:
    """Dispatch jobs at all daemons at once."""

    def dispatch(number: int) -> str:
        return cluster.daemons[number % len(cluster.daemons)].dispatch(type_, prompt, repository=None)

    with ThreadPoolExecutor(4 * len(cluster.daemons)) as pool:
        assert len(set(pool.map(dispatch, range(count)))) == count


def _unfinished(cluster: Cluster) -> int:
    return _count(cluster, "status IN ('PENDING', 'QUEUED', 'RUNNING')")


def _held(cluster: Cluster, reason: str) -> int:
    return _count(cluster, f"type = 'spend' AND status = 'QUEUED' AND held LIKE '{reason.replace('%', '%%')}'")


def _ended(cluster: Cluster) -> int:
    return _count(cluster, "type = 'spend' AND status = 'COMPLETED'")


def _count(cluster: Cluster, where: str) -> int:
    return int(cluster.rows(f"SELECT count(*) AS n FROM jobs WHERE {where}")[0]["n"])


def _newest_event(cluster: Cluster) -> int:
    return int(cluster.rows("SELECT max(id) AS id FROM events")[0]["id"])


def _most_running(cluster: Cluster, after: int) -> int:
    """Return how many jobs were RUNNING at once at most, by the events after one at which none was."""
    running, most = set[int](), 0
    query = "SELECT job, type FROM events WHERE id > %s AND job IS NOT NULL ORDER BY id"
    for row in cluster.rows(query, after):
        status = STATUS_OF.get(row["type"])
        if status is Status.RUNNING:
            running.add(row["job"])
        elif status is not None:
            running.discard(row["job"])
        most = max(most, len(running))
    return most


def _highest(changes: Iterable[int]) -> int:
    count = most = 0
    for change in changes:
        count += change
        most = max(most, count)
    return most
