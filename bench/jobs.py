"""Jobs completed per second, with durable transitions: with an executor that does nothing, and with a program."""

import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.daemon import run_daemon

JOBS = 1000
CLIENTS = 16
PROGRAMS = {
    "an executor that does nothing": ("-m", "bench.idle_daemon"),
    "the program `true`": ("-m", "stitcherd"),
}


def measure(_options: Namespace) -> list[dict[str, Any]]:
    return [{"row": f"{name:29}", **run(program)} for name, program in PROGRAMS.items()]


def run(program: tuple[str, ...], store: str = "") -> dict[str, Any]:
    """Measure jobs with a program of the daemon; `store` is that of `run_daemon`."""
    with run_daemon(workers=16, program=program, store=store) as daemon:
        before, started = daemon.cpu(), time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            list(clients.map(lambda _: daemon.request("POST", "/stitcher/dispatch", {"type": "nothing"}), range(JOBS)))
        dispatched = time.perf_counter() - started
        while daemon.request("GET", "/runner-jobs?limit=1")["counts"]["completed"] < JOBS:
            time.sleep(0.02)
        spent = time.perf_counter() - started
        return {
            "asked_per_second": round(JOBS / dispatched),
            "completed_per_second": round(JOBS / spent),
            "cpu_s_per_1000": round((daemon.cpu() - before) / JOBS * 1000, 2),
        }
