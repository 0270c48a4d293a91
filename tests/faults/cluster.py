"""Daemons and workers on one PostgreSQL database: killed, stopped, and cut off from it, under load."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain

import psycopg
from msgspec import Struct
from psycopg.rows import dict_row

from tests import stores
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.workers import Witness, WorkerHarness
from tests.faults.history import compare
from tests.faults.load import RAILS, Load
from tests.faults.under_load import NotTestedHere, Options, Row, row_of, tracebacks, unfinished
from tests.postgres_cluster import find_programs

DAEMONS, WORKERS, LANES = 2, 4, 4
LEASE_SECONDS = 4.0  # renewed in time also while all processes compete for the cores
PER_SECOND = 40.0  # webhooks at most: six processes and the server share the machine
LIFE_SECONDS = 1.0  # between two faults, at most
RESTARTS = 0.05  # share of the faults that restart the server, without a checkpoint
STOPS = 0.05  # share of them that stop a process for three leases
CUTS, CUT_SECONDS = 200, 0.3
READY_SECONDS = 60.0
DRAIN_SECONDS = 300.0

Node = DaemonHarness | WorkerHarness


class _Cluster(Struct, frozen=True):
    daemons: list[DaemonHarness]
    workers: list[WorkerHarness]

    @property
    def nodes(self) -> list[Node]:
        return [*self.daemons, *self.workers]


_Inject = Callable[[_Cluster, random.Random], None]


def clusters(options: Options) -> list[Row]:
    """Let one process after the other fail, or the server."""
    pause = max(options.life, LIFE_SECONDS)
    with _cluster(DAEMONS, WORKERS) as cluster:
        return [_under_load("kill, stop, server restarted", cluster, _fail, options.kills, pause, options)]


def connections(options: Options) -> list[Row]:
    """Cut one daemon off its database again and again, also in the middle of commits."""
    with _cluster(1, 0) as cluster:
        return [_under_load("connections lost", cluster, _cut, options.times(CUTS), CUT_SECONDS, options)]


def _under_load(fault: str, cluster: _Cluster, inject: _Inject, rounds: int, pause: float, options: Options) -> Row:
    """Inject a fault `rounds` times, with at most `pause` seconds between two."""
    chance, times = random.Random(f"{options.seed} {fault}"), 0
    first = cluster.daemons[0]
    witness = Witness(first.root)
    rate = min(options.per_second, PER_SECOND) / len(cluster.daemons)
    loads = [Load(each, options.seed + n, rate, witness.script) for n, each in enumerate(cluster.daemons)]
    try:
        with ExitStack() as stack:
            for load in loads:
                stack.enter_context(load)
            for _ in range(rounds):
                time.sleep(chance.uniform(0, pause))
                inject(cluster, chance)
                times += 1
                _start_ended(cluster)
        wait_until(lambda: _are_ready(cluster), "each daemon is ready", READY_SECONDS)
        wait_until(lambda: not unfinished(first), "every job has ended", DRAIN_SECONDS)
    except AssertionError as error:  # it did not go on by itself
        accepted = sum(load.accepted for load in loads)
        return Row(fault, times, accepted, by_hand=1, notes=[str(error), first.log_tail()])
    for node in cluster.nodes:
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        node.process.wait(READY_SECONDS)
    deliveries = list(chain.from_iterable(load.deliveries for load in loads))
    with closing(psycopg.connect(stores.dsn_of(first.root), row_factory=dict_row)) as db:
        findings = compare(db, witness.path, deliveries)
    findings.broken += [line for each in cluster.daemons for line in tracebacks(each.log.read_text())]
    return row_of(fault, times, findings)


def _cut(cluster: _Cluster, _chance: random.Random) -> None:
    """End all connections of the daemons, whatever they do."""
    with psycopg.connect(stores.dsn_of(cluster.daemons[0].root), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _fail(cluster: _Cluster, chance: random.Random) -> None:
    """Let one part of the cluster fail."""
    kind = chance.random()
    if kind < RESTARTS:
        stores.cluster().restart()
        return
    node = chance.choice(cluster.nodes)
    if kind < RESTARTS + STOPS:
        _stop(node, 3 * LEASE_SECONDS)
    else:
        node.kill()


def _stop(node: Node, seconds: float) -> None:
    assert node.process is not None
    with suppress(ProcessLookupError):
        os.kill(node.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(node.process.pid, signal.SIGCONT)


def _start_ended(cluster: _Cluster) -> None:
    """Start what has ended, as a service manager does: killed, or by itself, as its server went away at its start."""
    for node in cluster.nodes:
        if node.process is not None and node.process.poll() is None:
            continue
        if isinstance(node, DaemonHarness):
            node.spawn()
        else:
            node.start()


def _are_ready(cluster: _Cluster) -> bool:
    _start_ended(cluster)
    return all(map(_is_ready, cluster.daemons))


def _is_ready(daemon: DaemonHarness) -> bool:
    with suppress(OSError):
        return daemon.public("GET", "/readyz").status == 200
    return False


@contextmanager
def _cluster(number_of_daemons: int, number_of_workers: int) -> Iterator[_Cluster]:
    """Start a PostgreSQL server with daemons and workers. Raises NotTestedHere."""
    if find_programs() is None:
        raise NotTestedHere("there is no initdb: install postgresql")
    with stores.in_postgres(), _running(number_of_daemons, number_of_workers) as cluster:
        yield cluster


@contextmanager
def _running(number_of_daemons: int, number_of_workers: int) -> Iterator[_Cluster]:
    nodes: list[Node] = []
    try:
        for number in range(number_of_daemons):
            daemon = DaemonHarness(
                daemon=f'name = "daemon-{number}"\nworkers = {LANES}',
                store=f'lease = "{LEASE_SECONDS:g}s"\n',
                rails=RAILS,
            )
            nodes.append(daemon)
            (daemon.root / "dsn").write_text(stores.dsn_of(nodes[0].root))
            daemon.start()
        daemons = [node for node in nodes if isinstance(node, DaemonHarness)]
        for number in range(number_of_workers):
            worker = WorkerHarness(daemons[0], f"worker-{number}", LANES)
            nodes.append(worker)
            worker.start()
        yield _Cluster(daemons, [node for node in nodes if isinstance(node, WorkerHarness)])
    finally:
        for node in reversed(nodes):
            node.kill()
        for node in reversed(nodes):
            if isinstance(node, DaemonHarness):
                node.remove()
