"""`stitcherd store copy` of many jobs to PostgreSQL, and whether a daemon answers then as the one before did.

The responses are compared as tests/e2e/responses.py says, which also lists what may be otherwise.
"""

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import closing
from typing import Any

import psycopg

from bench import history
from tests import stores
from tests.e2e.harness import ROOT, DaemonHarness
from tests.e2e.past_jobs import add_past_jobs
from tests.e2e.responses import events_after, responses
from tests.postgres_cluster import find_programs

VARIED = 4_000  # jobs of all kinds; the others are completed, failed or cancelled, and alike
SAMPLES = 1_000
OF_VARIED = 4 / 5  # of the samples
PERIOD_MS = 14 * 86_400_000
CURSORS, FRAMES = 20, 500  # of the event stream


def measure(options: Namespace) -> list[dict[str, Any]]:
    if find_programs() is None:
        raise SystemExit("there is no initdb: install postgresql")
    with DaemonHarness() as daemon:
        ids = _fill(daemon, options.jobs)
        daemon.start()
        cursor = daemon.get("/runner-jobs?limit=1")["cursor"]
        cursors = range(0, cursor - FRAMES, cursor // CURSORS)
        begun = time.monotonic()
        expected, followed = responses(daemon, ids), dict(events_after(daemon, cursors, FRAMES))
        rows = [{"row": "asked of SQLite", "responses": len(expected), "s": round(time.monotonic() - begun, 1)}]
        daemon.stop()
        with stores.in_postgres(), DaemonHarness() as second:
            rows.append(_copy(daemon, _empty_dsn(second)))
            second.start()
            begun = time.monotonic()
            found = responses(second, ids)
            unlike = sorted(name for name in expected if found.get(name) != expected[name])
            rows.append(
                {
                    "row": "asked of PostgreSQL",
                    "responses": len(found),
                    "s": round(time.monotonic() - begun, 1),
                    "unlike": len(unlike),
                    **{f"unlike_{number}": name for number, name in enumerate(unlike[:5])},
                }
            )
            rows.append({"row": "event stream", **_followed(second, followed, cursor)})
    return rows


def _fill(daemon: DaemonHarness, jobs: int) -> list[str]:
    """Give a daemon a store with many jobs; return the ids of some of them, most of which are varied."""
    daemon.state.mkdir()
    database = daemon.state / "stitcher.db"
    history.write_history(database, jobs - VARIED, period=PERIOD_MS)
    with closing(sqlite3.connect(database)) as db:
        past = [row[0] for row in db.execute("SELECT id FROM jobs ORDER BY key")]
    ids = random.Random(jobs).sample(past, round(SAMPLES * (1 - OF_VARIED)))
    daemon.start()
    daemon.request("POST", "/resume", {})
    ids += [daemon.run("fix", "echo x > made; echo said")["id"], daemon.run("lenient", "touch broken")["id"]]
    daemon.stop()
    return ids + asyncio.run(add_past_jobs(daemon.state, VARIED, round(SAMPLES * OF_VARIED)))


def _empty_dsn(daemon: DaemonHarness) -> str:
    """Return the connection string of a database without tables, which `daemon` uses when it starts."""
    dsn = stores.dsn_of(daemon.root)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return dsn


def _copy(daemon: DaemonHarness, dsn: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "stitcherd", "store", "copy", "--to", dsn, "--config", str(daemon.config)]
    begun = time.monotonic()
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    megabytes = (daemon.state / "stitcher.db").stat().st_size / 2**20
    return {
        "row": "copied",
        "s": round(time.monotonic() - begun, 1),
        "MB": round(megabytes),
        "said": done.stdout.strip(),
    }


def _followed(second: DaemonHarness, followed: dict[int, list[bytes]], cursor: int) -> dict[str, Any]:
    """Follow the events from the same cursors on, and from the newest one, which was taken before the copy."""
    found = dict(events_after(second, list(followed), FRAMES))
    [frame] = second.stream(f"/events?after={cursor}", 1)
    return {
        "events": sum(map(len, followed.values())),
        "unlike": sum(found[after] != frames for after, frames in followed.items()),
        "goes_on_at_its_cursor": f"id: {cursor + 1}\n".encode() in frame,
    }
