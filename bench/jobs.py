"""Jobs to COMPLETED with an agent that does nothing, every transition durable."""

import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from daemon import running

JOBS = 500
ASKERS = 16


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with running(workers=8) as daemon:
        before, begun = daemon.cpu(), time.perf_counter()
        with ThreadPoolExecutor(ASKERS) as askers:
            list(askers.map(lambda _: daemon.ask("POST", "/stitcher/dispatch", {"type": "nothing"}), range(JOBS)))
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
