"""The full screen with a million jobs: start-up time, response times, and cost while idle."""

import signal
import sqlite3
import statistics
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from bench import history
from bench.daemon import BenchDaemon, run_daemon
from bench.screen import TerminalScreen
from shared.ids import new_id, now_ms

STARTS = 5
PRESSES = 30
DISPATCHES = 20
IDLE_SECONDS = 8.0
LOG_BYTES = 2**30
LOG_EDGE = 2**20  # bytes of lines at each end of the long log; the rest is a hole in the file


def measure(options: Namespace) -> list[dict[str, Any]]:
    flood_seconds = max(options.seconds, 4.0)
    with tempfile.TemporaryDirectory(prefix="stitcher-bench-") as place:
        past = Path(place) / "past.db"
        history.write_history(past, options.jobs)
        job_id = _with_step(past)
        program = ("-m", "bench.flooding_daemon")
        with run_daemon(workers=1, database=past, program=program, FLOOD_SECONDS=str(flood_seconds)) as daemon:
            newest = daemon.request("GET", "/runner-jobs?limit=1")["items"][0]["id"][-8:]
            starts = sorted(_start(daemon, newest) for _ in range(STARTS))
            median, cpu = starts[STARTS // 2]
            rows = [
                {
                    "row": "first paint",
                    "p50_s": round(median, 3),
                    "worst_s": round(starts[-1][0], 3),
                    "cpu_s": round(cpu, 3),
                }
            ]
            screen = TerminalScreen("--socket", str(daemon.socket))
            screen.until(newest)
            screen.wait_until_idle()
            rows += [
                _keys(screen, "cursor down", "\x1b[B"),
                _keys(screen, "page down", "\x1b[6~"),
                _idle(screen),
                _commits(daemon, screen),
                _tail(daemon, screen, flood_seconds),
            ]
            screen.quit()
            return [*rows, _long_log(daemon, job_id)]


def _start(daemon: BenchDaemon, newest: str) -> tuple[float, float]:
    screen = TerminalScreen("--socket", str(daemon.socket))
    shown = screen.until(newest) - screen.started
    cpu = screen.cpu()
    screen.wait_until_idle()
    screen.quit()
    return shown, cpu


def _keys(screen: TerminalScreen, name: str, key: str) -> dict[str, Any]:
    """Measure from a key press to the first frame, and to the end of everything that follows: hints, rows that are loaded."""
    times, whole, before = [], [], screen.cpu()
    for _ in range(PRESSES):
        pressed = screen.press(key)
        times.append((screen.wait_for_frame() - pressed) * 1000)
        whole.append((screen.wait_until_idle() - pressed) * 1000)
    cpu = (screen.cpu() - before) / PRESSES * 1000
    return {"row": name, **_spread(times), "whole_p50_ms": _spread(whole)["p50_ms"], "cpu_ms": round(cpu, 1)}


def _commits(daemon: BenchDaemon, screen: TerminalScreen) -> dict[str, Any]:
    """Measure from the response to a dispatch, which follows the commit, to the row of the new job."""
    screen.press("g")
    screen.wait_until_idle()
    times = []
    for number in range(DISPATCHES):
        job_id = daemon.request("POST", "/stitcher/dispatch", {"type": "nothing"})["jobId"]
        answered = time.perf_counter()
        times.append((screen.until(job_id[-8:]) - answered) * 1000)
        screen.drain(0.4 + number * 0.01)
    return {"row": "commit to screen", **_spread(times)}


def _idle(screen: TerminalScreen) -> dict[str, Any]:
    screen.drain(2.0)
    before = screen.cpu()
    screen.drain(IDLE_SECONDS)
    return {
        "row": "idle",
        "cpu_percent": round((screen.cpu() - before) / IDLE_SECONDS * 100, 2),
        "pss_mb": round(screen.pss(), 1),
    }


def _tail(daemon: BenchDaemon, screen: TerminalScreen, seconds: float) -> dict[str, Any]:
    """Measure the cost of 5,000 events a second, and the response time of the pause key meanwhile."""
    screen.press("t")
    screen.until("following")
    screen.wait_until_idle()
    daemon.process.send_signal(signal.SIGUSR1)
    screen.drain(1.0)
    before, begun, times = screen.cpu(), time.perf_counter(), []
    while time.perf_counter() - begun < seconds - 2.0:
        for word in ("paused", "following"):
            pressed = screen.press("p")
            times.append((screen.until(word) - pressed) * 1000)
            screen.drain(0.15)
    spent = screen.cpu() - before
    cpu = spent / (time.perf_counter() - begun) * 100
    screen.drain(2.0)
    screen.press("p")
    screen.until("paused")
    made = daemon.request("GET", "/runner-jobs?limit=1")["cursor"]
    return {
        "row": "5,000 events a second",
        "cpu_percent": round(cpu, 1),
        **_spread(times),
        "pss_mb": round(screen.pss(), 1),
        "newest": made,
    }


def _long_log(daemon: BenchDaemon, job_id: str) -> dict[str, Any]:
    """Measure a log of 1 GiB: from start-up to its last line, then to its first, then to a match in the middle."""
    path = daemon.directory / "state" / "logs" / job_id / "1" / "1.log"
    path.parent.mkdir(parents=True)
    lines = b"".join(b"line %07d of a long log\n" % number for number in range(LOG_EDGE // 24))
    with path.open("wb") as log:
        log.write(lines)
        log.seek(LOG_BYTES // 2)
        log.write(b"\nthe needle in the middle\n")
        log.seek(LOG_BYTES)
        log.write(lines + b"the last line of the log\n")
    screen = TerminalScreen("--socket", str(daemon.socket), "tui", job_id)
    opened = screen.until("the last line of the log") - screen.started
    screen.wait_until_idle()
    screen.press("\t")
    screen.wait_until_idle()
    first = -screen.press("g") + screen.until("line 0000000")
    screen.wait_until_idle()
    screen.press("/needle")
    screen.wait_until_idle()
    found = -screen.press("\r") + screen.until("in the middle")
    screen.wait_until_idle()
    pss = screen.pss()
    screen.quit()
    return {
        "row": "a log of 1 GiB",
        "open_s": round(opened, 3),
        "first_ms": round(first * 1000, 1),
        "found_s": round(found, 2),
        "pss_mb": round(pss, 1),
    }


def _with_step(past: Path) -> str:
    """Add a step to the newest job, whose output is the long log; return the id of the job."""
    db = sqlite3.connect(past)
    key, job_id = db.execute("SELECT key, id FROM jobs ORDER BY key DESC LIMIT 1").fetchone()
    now = now_ms()
    db.execute(
        "INSERT INTO steps (id, job, attempt, ordinal, phase, type, name, status, exit_code, output_bytes, started_at,"
        " completed_at) VALUES (?, ?, 1, 1, 'EXECUTION', 'AI_ACTION', 'agent', 'FAILED', 1, ?, ?, ?)",
        (new_id(), key, LOG_BYTES, now, now),
    )
    db.commit()
    db.close()
    return str(job_id)


def _spread(times: list[float]) -> dict[str, Any]:
    times.sort()
    return {"p50_ms": round(statistics.median(times), 1), "p95_ms": round(times[int(len(times) * 0.95)], 1)}
