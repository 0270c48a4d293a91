"""Daemons and workers on one PostgreSQL database: killed, stopped, and cut off from it, under load."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import chain

import psycopg
from psycopg.rows import dict_row

from tests import stores
from tests.e2e.harness import wait_until
from tests.e2e.workers import Witness
from tests.faults.history import compare
from tests.faults.load import Load
from tests.faults.nodes import LEASE_SECONDS, Cluster, running_cluster, stop_for
from tests.faults.under_load import Options, Row, row_of, tracebacks, unfinished

PER_SECOND = 40.0  # webhooks at most: six processes and the server share the machine
LIFE_SECONDS = 1.0  # between two faults, at most
RESTARTS = 0.05  # share of the faults that restart the server, without a checkpoint
STOPS = 0.05  # share of them that stop a process for three leases
CUTS, CUT_SECONDS = 200, 0.3
DRAIN_SECONDS = 300.0

_Inject = Callable[[Cluster, random.Random], None]


def clusters(options: Options) -> list[Row]:
    """Let one process after the other fail, or the server."""
    pause = max(options.life, LIFE_SECONDS)
    with running_cluster() as cluster:
        return [_under_load("kill, stop, server restarted", cluster, _fail, options.kills, pause, options)]


def connections(options: Options) -> list[Row]:
    """Cut one daemon off its database again and again, also in the middle of commits."""
    with running_cluster(1, 0) as cluster:
        return [_under_load("connections lost", cluster, _cut, options.times(CUTS), CUT_SECONDS, options)]


def _under_load(fault: str, cluster: Cluster, inject: _Inject, rounds: int, pause: float, options: Options) -> Row:
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
                cluster.start_ended()
        cluster.await_ready()
        wait_until(lambda: not unfinished(first), "every job has ended", DRAIN_SECONDS)
    except AssertionError as error:  # it did not go on by itself
        accepted = sum(load.accepted for load in loads)
        return Row(fault, times, accepted, by_hand=1, notes=[str(error), first.log_tail()])
    cluster.stop()
    deliveries = list(chain.from_iterable(load.deliveries for load in loads))
    with closing(psycopg.connect(cluster.dsn, row_factory=dict_row)) as db:
        findings = compare(db, witness.path, deliveries)
    findings.broken += [line for each in cluster.daemons for line in tracebacks(each.log.read_text())]
    return row_of(fault, times, findings)


def _cut(cluster: Cluster, _chance: random.Random) -> None:
    """End all connections of the daemons, whatever they do."""
    with psycopg.connect(cluster.dsn, autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def _fail(cluster: Cluster, chance: random.Random) -> None:
    """Let one part of the cluster fail."""
    kind = chance.random()
    if kind < RESTARTS:
        stores.cluster().restart()
        return
    node = chance.choice(cluster.nodes)
    if kind < RESTARTS + STOPS:
        stop_for(node, 3 * LEASE_SECONDS)
    else:
        node.kill()
