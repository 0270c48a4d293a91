"""Lists, filters and details of a million jobs over the socket, and the start-up time of the daemon with them."""

import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import history
from bench.daemon import BenchDaemon, run_daemon, unix_connection

QUEUED = 100_000
TWO_WEEKS_MS = 14 * 86_400_000
RUNS = 200
PAGES = {
    "newest 100": "/runner-jobs",
    "failed": "/runner-jobs?status=failed",
    "failed fix": "/runner-jobs?status=failed&type=fix",
    "one repository": "/runner-jobs?repository=octo-org/r7",
    "q: state and glob": "/runner-jobs?q=" + quote("state:failed,cancelled repo:octo-org/r1*"),
    "q: age": "/runner-jobs?q=" + quote("age:<2d state:failed"),
    "stats by day": "/stats",
    "stats by hour": "/stats?by=hour",
    "stats by repository": "/stats?by=repository",
    "q: free text, rare": "/runner-jobs?q=" + quote('"octo-org/r999#1000000"'),
}


def measure(options: Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="stitcher-bench-") as place:
        past = Path(place) / "past.db"
        history.write_history(past, options.jobs, QUEUED, TWO_WEEKS_MS)
        with run_daemon(workers=1, database=past) as daemon:
            rows = [{"row": f"{'start above it':20}", "listening_s": round(daemon.started_in, 2)}]
            rows += [{"row": f"{name:20}", **_timed(daemon, path)} for name, path in PAGES.items()]
            ids = [job["id"] for job in daemon.request("GET", "/runner-jobs?limit=500&status=completed")["items"]]
            rows.append({"row": f"{'one job':20}", **_timed(daemon, *(f"/runner-jobs/{each}" for each in ids))})
            return rows


def _timed(daemon: BenchDaemon, *paths: str) -> dict[str, Any]:
    connection = unix_connection(daemon.socket)
    times = []
    for number in range(RUNS):
        started = time.perf_counter()
        connection.request("GET", paths[number % len(paths)])
        body = connection.getresponse().read()
        times.append((time.perf_counter() - started) * 1000)
    times.sort()
    return {"p50_ms": round(times[RUNS // 2], 2), "p99_ms": round(times[int(RUNS * 0.99)], 2), "bytes": len(body)}
