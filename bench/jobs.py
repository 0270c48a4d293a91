"""Jobs to COMPLETED with an agent that does nothing, every transition durable."""

import http.client
import json
import socket
import time
from argparse import Namespace
from typing import Any

from daemon import running

JOBS = 500


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with running(workers=8) as daemon:
        connection = http.client.HTTPConnection("d")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(daemon.socket))
        before, begun = daemon.cpu(), time.perf_counter()
        for _ in range(JOBS):
            connection.request(
                "POST", "/stitcher/dispatch", json.dumps({"type": "nothing"}), {"Content-Type": "application/json"}
            )
            connection.getresponse().read()
        asked = time.perf_counter() - begun
        while daemon.ask("GET", "/runner-jobs?limit=1")["counts"]["completed"] < JOBS:
            time.sleep(0.02)
        spent = time.perf_counter() - begun
        return [
            {
                "asked_per_second": round(JOBS / asked),
                "completed_per_second": round(JOBS / spent),
                "cpu_s_per_1000": round((daemon.cpu() - before) / JOBS * 1000, 2),
            }
        ]
