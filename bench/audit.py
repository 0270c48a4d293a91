"""What the audit chain costs an event, and how long it takes to verify many through a daemon."""

import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import usage
from bench.daemon import BenchDaemon, run_daemon
from shared.ids import new_id, now_ms
from stitcherd.store import events
from stitcherd.store.db import Db
from stitcherd.store.migrate import migrate
from stitcherd.store.queries import insert_rows
from stitcherd.store.sqlite_connections import WritingConnection

AT_ONCE = {"one by one": 1, "three, of a webhook": 3, "64 in a call": 64}
EVENTS = 19_200  # of a measurement
STORED = 1_000_000
_PROBE_SECONDS = 0.02


def measure(options: Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, count in AT_ONCE.items():
        with_hash = min(_append(events.add_events, count) for _ in range(5 * options.rounds))
        without = min(_append(_add_without_hash, count) for _ in range(5 * options.rounds))
        rows.append({"row": f"{name:20}", "µs": round(with_hash, 2), "cost_µs": round(with_hash - without, 2)})
    return [*rows, _verified()]


def _append(add: Any, count: int) -> float:
    """Return the CPU time in µs of an event that is appended, so many in a call."""
    db = _database(":memory:")
    made = [_event(number) for number in range(EVENTS)]
    db.execute("BEGIN")
    started = time.process_time()
    for at in range(0, EVENTS, count):
        add(db, *made[at : at + count])
    spent = time.process_time() - started
    db.execute("COMMIT")
    return spent / EVENTS * 1e6


def _add_without_hash(db: Db, *new: events.NewEvent) -> None:
    """Append events as it was done before there was a chain."""
    columns = ("job", "step", "delivery", "workspace", "type", "actor", "at", "payload")
    insert_rows(db, "INSERT INTO events", columns, new)


def _event(number: int) -> events.NewEvent:
    delivery = f"01a21af0-538d-767f-9a4e-{number:012}"
    payload = {"deliveryId": delivery, "source": "github", "verdict": "allowed", "reason": "trigger fix-on-command"}
    return events.new_event(
        "delivery.received",
        actor="source:github/octocat",
        now=now_ms(),
        delivery=delivery,
        workspace="default",
        payload={**payload, "jobId": new_id()},
    )


def _verified() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="stitcher-bench-") as place:
        past = Path(place) / "past.db"
        db = _database(past)
        for at in range(0, STORED, EVENTS):
            made = [_event(number) for number in range(at, min(at + EVENTS, STORED))]
            db.execute("BEGIN")
            events.add_events(db, *made)
            db.execute("COMMIT")
        db.close()
        with run_daemon(workers=1, database=past) as daemon, _probed(daemon) as delays:
            before, memory, started = daemon.cpu(), daemon.pss(), time.perf_counter()
            argv = [sys.executable, "-m", "tui", "--socket", str(daemon.socket), "audit", "verify"]
            client, used = subprocess.Popen(argv), 0.0
            while client.poll() is None:
                used = max(used, usage.pss((client.pid,)))
                time.sleep(_PROBE_SECONDS)
            spent = time.perf_counter() - started
            return {
                "row": f"{f'verify {STORED:,}':20}",
                "exit": client.returncode,
                "s": round(spent, 1),
                "client_MB": round(used),
                "daemon_more_MB": round(daemon.pss() - memory, 1),
                "daemon_cpu_s": round(daemon.cpu() - before, 1),
                "other_requests_p99_ms": round(sorted(delays)[int(len(delays) * 0.99)], 1),
            }


@contextmanager
def _probed(daemon: BenchDaemon) -> Iterator[list[float]]:
    """Yield how long other requests take meanwhile, in ms."""
    delays, ended = [0.0], threading.Event()

    def probe() -> None:
        while not ended.wait(_PROBE_SECONDS):
            started = time.perf_counter()
            daemon.request("GET", "/healthz")
            delays.append((time.perf_counter() - started) * 1000)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield delays
    finally:
        ended.set()
        thread.join()


def _database(path: Path | str) -> WritingConnection:
    db = sqlite3.connect(path, isolation_level=None, factory=WritingConnection)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA synchronous=OFF")
    migrate(db)
    return db
