"""Jobs to COMPLETED, every transition durable: with an executor that does nothing, and with a program that does."""

import time
from argparse import Namespace
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from daemon import running

JOBS = 1000
ASKERS = 16
PROGRAMS = {
    "an executor that does nothing": (str(Path(__file__).with_name("idle.py")),),
    "the program `true`": ("-m", "stitcherd"),
}


def measure(_options: Namespace) -> list[dict[str, Any]]:
    return [{"row": f"{name:29}", **_measured(program)} for name, program in PROGRAMS.items()]


def _measured(program: tuple[str, ...]) -> dict[str, Any]:
    with running(workers=16, program=program) as daemon:
        before, begun = daemon.cpu(), time.perf_counter()
        with ThreadPoolExecutor(ASKERS) as askers:
            list(askers.map(lambda _: daemon.ask("POST", "/stitcher/dispatch", {"type": "nothing"}), range(JOBS)))
        asked = time.perf_counter() - begun
        while daemon.ask("GET", "/runner-jobs?limit=1")["counts"]["completed"] < JOBS:
            time.sleep(0.02)
        spent = time.perf_counter() - begun
        return {
            "asked_per_second": round(JOBS / asked),
            "completed_per_second": round(JOBS / spent),
            "cpu_s_per_1000": round((daemon.cpu() - before) / JOBS * 1000, 2),
        }
