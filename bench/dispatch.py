"""How soon a job starts after its 201, through Huey; and what the daemon costs while nothing happens."""

import http.client
import json
import socket
import statistics
import time
from argparse import Namespace
from typing import Any

from daemon import Daemon, running

JOBS = 200
IDLE_SECONDS = 10.0


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with running() as daemon:
        time.sleep(1.0)
        before = daemon.cpu()
        time.sleep(IDLE_SECONDS)
        idle = (daemon.cpu() - before) / IDLE_SECONDS * 100
        waits = sorted(_starts(daemon))
    return [
        {
            "201_to_start_p50_ms": round(statistics.median(waits), 2),
            "p99_ms": round(waits[int(len(waits) * 0.99)], 2),
            "idle_cpu_percent": round(idle, 2),
        }
    ]


def _starts(daemon: Daemon) -> list[float]:
    """Milliseconds from the answer to the event job.started, as the job's own row has it."""
    connection = http.client.HTTPConnection("d")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(daemon.socket))
    waits = []
    for _ in range(JOBS):
        body = json.dumps({"type": "nothing"})
        connection.request("POST", "/stitcher/dispatch", body, {"Content-Type": "application/json"})
        job = json.loads(connection.getresponse().read())["jobId"]
        answered = time.time()
        detail = daemon.ask("GET", f"/runner-jobs/{job}")
        while detail["status"] not in {"COMPLETED", "FAILED"}:
            time.sleep(0.01)
            detail = daemon.ask("GET", f"/runner-jobs/{job}")
        started = time.mktime(time.strptime(detail["startedAt"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        waits.append((started + int(detail["startedAt"][20:23]) / 1000 - answered) * 1000)
    return waits
