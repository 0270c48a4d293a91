"""Workers that end without a word: how soon others queue their jobs again."""

import random
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import closing

import psycopg

from tests.e2e.harness import wait_until
from tests.e2e.workers import Witness, WorkerHarness
from tests.faults.load import RAILS
from tests.faults.nodes import LANES, LEASE_SECONDS, WORKERS, Cluster, end_machine, running_cluster
from tests.faults.under_load import Options, Row

ROUNDS, ENDED = 18, 2  # in each of the rounds two workers end
GRACE_SECONDS = 2.0  # beyond the lease
LIMIT_SECONDS = 60.0
LASTING = "[ $STITCHER_ATTEMPT -gt 1 ] || exec sleep 1800"
ENDS: dict[str, tuple[bool, Callable[[WorkerHarness], None]]] = {
    "workers killed": (False, WorkerHarness.kill),
    "machines of workers ended": (True, end_machine),
}


def leases(options: Options) -> list[Row]:
    """Kill workers beside others on the same machine, and then each with the machine that it is alone on."""
    rows, rails = [], RAILS.replace("timeout: 1m", "timeout: 1h")
    for fault, (are_machines, end) in ENDS.items():
        with running_cluster(rails=rails, lanes_of_daemons=0, are_machines=are_machines) as cluster:
            cluster.await_joined()
            rows.append(_end_again_and_again(cluster, fault, end, options))
    return rows


def _end_again_and_again(cluster: Cluster, fault: str, end: Callable[[WorkerHarness], None], options: Options) -> Row:
    chance, witness = random.Random(f"{options.seed} {fault}"), Witness(cluster.daemons[0].root)
    delays, kills = list[float](), 0
    try:
        for _ in range(options.times(ROUNDS)):
            _fill(cluster, witness)
            time.sleep(chance.uniform(0, LEASE_SECONDS / 3))  # at any moment between two renewals of a lease
            chosen = chance.sample(cluster.workers, ENDED)
            delays += _recovered_after(cluster, chosen, end)
            kills += len(chosen)
            cluster.start_ended()
            cluster.await_joined()
        _await_completed(cluster)
    except AssertionError as error:
        counted = cluster.rows("SELECT status, attempt, held, error, count(*) AS n FROM jobs GROUP BY 1, 2, 3, 4")
        notes = [str(error), *map(str, counted), cluster.daemons[0].log_tail()]
        return Row(fault, kills, len(delays), by_hand=1, notes=notes)
    limit, starts = LEASE_SECONDS + GRACE_SECONDS, witness.starts()
    p99 = statistics.quantiles(delays, n=100)[98]
    doubled = len(starts) - len(set(starts)) + sum(each.startswith("two") for each in starts)
    figures = f"p50 {statistics.median(delays):.2f} s, p99 {p99:.2f} s, at most {max(delays):.2f} s"
    notes = [f"jobs were QUEUED again after {figures}; lease and two seconds: {limit:g} s"]
    return Row(fault, kills, len(delays), 0, doubled, int(p99 > limit), notes)


def _fill(cluster: Cluster, witness: Witness) -> None:
    """Let each slot of the workers run an agent that lasts; what was queued again before has ended then."""
    slots = WORKERS * LANES
    _await_completed(cluster)
    for number in range(slots - _count(cluster, "status = 'RUNNING'")):
        cluster.daemons[number % len(cluster.daemons)].dispatch("again", witness.script(LASTING), repository=None)

    def lasting() -> int:
        running = cluster.rows("SELECT id FROM jobs WHERE status = 'RUNNING'")
        return len({row["id"] for row in running} & {line.split()[0] for line in witness.starts()})

    wait_until(lambda: lasting() == slots, "an agent runs in each slot", LIMIT_SECONDS)


def _recovered_after(
    cluster: Cluster, workers: Sequence[WorkerHarness], end: Callable[[WorkerHarness], None]
) -> list[float]:
    """End workers; return after how many seconds each of their jobs was QUEUED again, as the database shows it."""
    names = [worker.name for worker in workers]
    query = "SELECT key, worker FROM jobs WHERE status = 'RUNNING' AND worker = ANY(%s)"
    left = {row["key"]: row["worker"] for row in cluster.rows(query, names)}
    assert len(left) == LANES * len(workers), left
    ended_at, delays = dict[str, float](), list[float]()
    for worker in workers:
        ended_at[worker.name] = time.monotonic()
        end(worker)
    query = "SELECT key FROM jobs WHERE status <> 'RUNNING' AND attempt = 2 AND key = ANY(%s)"
    deadline = time.monotonic() + LIMIT_SECONDS
    with closing(psycopg.connect(cluster.dsn, autocommit=True)) as db:
        while left:
            for (key,) in db.execute(query, [list(left)]).fetchall():
                delays.append(time.monotonic() - ended_at[left.pop(key)])
            assert time.monotonic() < deadline, f"jobs are not queued again: {left}"
            time.sleep(0.01)
    return delays


def _await_completed(cluster: Cluster) -> None:
    """Wait until no job is left that was queued again."""
    left = "attempt > 1 AND status <> 'COMPLETED'"
    wait_until(lambda: not _count(cluster, left), "what was queued again has completed", LIMIT_SECONDS)


def _count(cluster: Cluster, where: str) -> int:
    return int(cluster.rows(f"SELECT count(*) AS n FROM jobs WHERE {where}")[0]["n"])
