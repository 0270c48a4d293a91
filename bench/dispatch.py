"""The delay between the 201 of a job and its start, through Huey; and the CPU use of an idle daemon."""

import json
import statistics
import time
from argparse import Namespace
from typing import Any

from bench.daemon import BenchDaemon, run_daemon, unix_connection

JOBS = 200
IDLE_SECONDS = 10.0


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with run_daemon() as daemon:
        time.sleep(1.0)
        before = daemon.cpu()
        time.sleep(IDLE_SECONDS)
        idle = (daemon.cpu() - before) / IDLE_SECONDS * 100
        waits = sorted(start_delays(daemon))
    return [
        {
            "201_to_start_p50_ms": round(statistics.median(waits), 2),
            "p99_ms": round(waits[int(len(waits) * 0.99)], 2),
            "idle_cpu_percent": round(idle, 2),
        }
    ]


def start_delays(daemon: BenchDaemon) -> list[float]:
    """Return the milliseconds from each response to the start of its job, as the job records it."""
    connection = unix_connection(daemon.socket)
    waits = []
    for _ in range(JOBS):
        body = json.dumps({"type": "nothing"})
        connection.request("POST", "/stitcher/dispatch", body, {"Content-Type": "application/json"})
        job = json.loads(connection.getresponse().read())["jobId"]
        answered = time.time()
        detail = daemon.request("GET", f"/runner-jobs/{job}")
        while detail["status"] not in {"COMPLETED", "FAILED"}:
            time.sleep(0.01)
            detail = daemon.request("GET", f"/runner-jobs/{job}")
        started = time.mktime(time.strptime(detail["startedAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        waits.append((started + int(detail["startedAt"][20:23]) / 1000 - answered) * 1000)
    return waits
