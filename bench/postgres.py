"""PostgreSQL instead of SQLite in the same run: intake, whole jobs, the start of a job by a worker, idle statements.

The server is one of the benchmark's own, on this machine, that writes to the disk before it answers.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench import dispatch, intake, jobs
from bench.daemon import ROOT, BenchDaemon, run_daemon
from tests.postgres_cluster import PostgresCluster, find_programs

KINDS = ("sqlite", "postgres")
CONNECTIONS = 16
SETTLE_SECONDS, IDLE_SECONDS = 3.0, 30.0  # after the last job
NOTHING = jobs.PROGRAMS["an executor that does nothing"]


def measure(options: Namespace) -> list[dict[str, Any]]:
    programs = find_programs()
    if programs is None:
        raise SystemExit("there is no initdb: install postgresql")
    cluster = PostgresCluster(programs, durable=True)
    try:
        stored, completed = (dict[str, list[float]]((kind, []) for kind in KINDS) for _ in range(2))
        for _ in range(options.rounds):
            for kind in KINDS:
                found = intake.accept(intake.TEXTS["jobs"], CONNECTIONS, options.seconds, store=_store(cluster, kind))
                stored[kind].append(found["per_second"])
                found = jobs.run(NOTHING, store=_store(cluster, kind))
                completed[kind].append(found["completed_per_second"])
        return [
            {"row": "webhooks that become jobs", **_compared(stored)},
            {"row": "jobs completed", **_compared(completed)},
            {"row": "a worker beside the daemon", **_beside(cluster)},
        ]
    finally:
        cluster.remove()


def _store(cluster: PostgresCluster, kind: str) -> str:
    return "" if kind == "sqlite" else f'[store]\nkind = "postgres"\ndsn = {{file = "{_dsn_file(cluster)}"}}\n'


def _dsn_file(cluster: PostgresCluster) -> Path:
    """Return a file with the connection string of a new database."""
    name = cluster.create()
    file = cluster.directory / f"{name}.dsn"
    file.touch(mode=0o600)
    file.write_text(cluster.dsn(name))
    return file


def _compared(found: dict[str, list[float]]) -> dict[str, Any]:
    sqlite, postgres = (statistics.median(found[kind]) for kind in KINDS)
    return {"sqlite_per_s": sqlite, "postgres_per_s": postgres, "ratio": f"1:{sqlite / postgres:.1f}"}


def _beside(cluster: PostgresCluster) -> dict[str, Any]:
    """Measure how long jobs of a daemon wait for a worker, and how many statements both send when idle."""
    store = _store(cluster, "postgres")
    with run_daemon(workers=0, store=store) as daemon, _worker(daemon):
        waits = sorted(dispatch.start_delays(daemon))
        time.sleep(SETTLE_SECONDS)
        idle = _statements(cluster, IDLE_SECONDS) / IDLE_SECONDS / 2
    return {
        "201_to_start_p50_ms": round(statistics.median(waits), 1),
        "p99_ms": round(waits[int(len(waits) * 0.99)], 1),
        "idle_statements_per_s_each": round(idle, 2),
    }


@contextmanager
def _worker(daemon: BenchDaemon) -> Iterator[None]:
    """Start a worker with the settings of a daemon, and wait until it has joined."""
    place = daemon.directory / "worker"
    place.mkdir()
    settings = (daemon.directory / "stitcherd.toml").read_text()
    settings = settings.replace(f"{daemon.directory}/state", f"{place}/state")
    settings = settings.replace("workers = 0", 'name = "w"\nworkers = 4')
    (place / "stitcherd.toml").write_text(settings)
    argv = [sys.executable, "-m", "stitcherd", "worker", "--config", str(place)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, env=environ, cwd=ROOT)
    try:
        while len(daemon.request("GET", "/daemons")["items"]) < 2:
            if process.poll() is not None:
                raise SystemExit((place / "log").read_text())
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def _statements(cluster: PostgresCluster, seconds: float) -> int:
    """Return how many statements the server gets meanwhile, by its log; what is sent in one message counts as one."""
    with psycopg.connect(cluster.dsn("postgres"), autocommit=True) as connection:
        for value in ("all", "none"):
            connection.execute(f"ALTER SYSTEM SET log_statement = '{value}'".encode())
            connection.execute("SELECT pg_reload_conf()")
            if value == "all":
                time.sleep(seconds)
    return len(re.findall(r"LOG:  (?:statement|execute [^:]+): ", (cluster.directory / "log").read_text()))
