"""Durable intake of signed 10 KB webhooks with rails, compared with an aiohttp handler that does nothing.

The case that users have is a command of a member, which becomes a stored and queued job; the easy one is a comment
without a command, which is stored and ignored. The peers of the file that PEERS names get the commands too.
"""

import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

from bench.daemon import ROOT, SECRET, WEBHOOK_PATH, comment_body, run_daemon, signed_request
from bench.peers import Peer, read_peers, run_peer
from bench.usage import cpu

SIZE = 10_240
CONNECTIONS = (1, 16, 64)
TEXTS = {"jobs": "@mosaic fix row {}", "ignored": "Just a remark, number {}."}
PER_SECOND = 9_000  # requests prepared for each second of load: more than can be sent
NOTHING = """
import sys
from aiohttp import web
async def handle(request):
    await request.read()
    return web.Response(body=b'{}', status=202)
app = web.Application(client_max_size=2**21)
app.router.add_post("/stitcher/webhook/github", handle)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
"""


def measure(options: Namespace) -> list[dict[str, Any]]:
    rounds: dict[tuple[str, int], list[dict[str, Any]]] = {}
    peers = read_peers()
    for _ in range(options.rounds):
        for connections in CONNECTIONS:
            for who, text in TEXTS.items():
                found = accept(text, connections, options.seconds)
                rounds.setdefault((who, connections), []).append(found)
            for peer in peers:
                rounds.setdefault((peer.name, connections), []).append(_peer(peer, connections, options.seconds))
            rounds.setdefault(("nothing", connections), []).append(_nothing(connections, options.seconds))
    rows = {
        key: {name: round(statistics.median(each[name] for each in found), 2) for name in found[0]}
        for key, found in rounds.items()
    }
    return [
        {"who": f"{who:9}", "connections": f"{connections:2}"} | row | _compared(row, rows["jobs", connections])
        for (who, connections), row in rows.items()
    ]


def _compared(row: dict[str, Any], jobs: dict[str, Any]) -> dict[str, Any]:
    """Return how many times as fast commands become jobs, and the CPU time that they take relative to this row's."""
    return {
        "jobs_times_as_fast": round(jobs["per_second"] / row["per_second"], 2),
        "jobs_cpu_ratio": round(jobs["cpu_s_per_1000"] / row["cpu_s_per_1000"], 2),
    }


def accept(text: str, connections: int, seconds: float, store: str = "") -> dict[str, Any]:
    """Measure the intake of comments with a text; `store` is that of `run_daemon`."""
    with run_daemon(workers=1, agent=("sleep", "600"), store=store) as daemon:
        # One job keeps the only worker busy: accepting, deciding, storing and queuing is measured, not running jobs.
        daemon.request("POST", "/stitcher/dispatch", {"type": "nothing"})
        while daemon.request("GET", "/runner-jobs?limit=1")["counts"]["running"] == 0:
            time.sleep(0.02)
        idle = daemon.pss()
        file = _prepared(daemon.port, int(seconds * PER_SECOND), text)
        before = daemon.cpu()
        found = _load(daemon.port, connections, seconds, file)
        return _row(found, daemon.cpu() - before) | {"pss_idle_mb": idle, "pss_mb": daemon.pss()}


def _peer(peer: Peer, connections: int, seconds: float) -> dict[str, Any]:
    with run_peer(peer) as running:
        idle = running.pss()
        file = _prepared(peer.port, int(seconds * PER_SECOND), TEXTS["jobs"], peer.path, peer.secret.encode())
        before = running.cpu()
        found = _load(peer.port, connections, seconds, file)
        return _row(found, running.cpu() - before) | {"pss_idle_mb": idle, "pss_mb": running.pss()}


def _nothing(connections: int, seconds: float) -> dict[str, Any]:
    port = 18_467
    process = subprocess.Popen([sys.executable, "-c", NOTHING, str(port)])
    try:
        time.sleep(1.0)
        file = _prepared(port, int(seconds * PER_SECOND * 2), TEXTS["ignored"])
        found = _load(port, connections, seconds, file)
        return _row(found, cpu((process.pid,))) | {"pss_idle_mb": 0, "pss_mb": 0}
    finally:
        process.terminate()
        process.wait()


def _row(found: dict[str, Any], cpu: float) -> dict[str, Any]:
    return {
        "per_second": found["per_second"],
        "p50_ms": found["p50_ms"],
        "p99_ms": found["p99_ms"],
        "cpu_s_per_1000": cpu / found["requests"] * 1000,
        "refused": sum(count for status, count in found["statuses"].items() if status not in {"200", "202"}),
    }


def _prepared(port: int, count: int, text: str, path: str = WEBHOOK_PATH, secret: bytes = SECRET) -> Path:
    """Write signed requests to a file: on a tmpfs, since writing it back to a disk would slow the commits measured."""
    memory = "/dev/shm"
    handle, name = tempfile.mkstemp(prefix="stitcher-load-", dir=memory if Path(memory).is_dir() else None)
    with os.fdopen(handle, "wb") as file:
        for number in range(count):
            data = signed_request(port, comment_body(number + 1, SIZE, text.format(number)), path, secret)
            file.write(struct.pack(">I", len(data)) + data)
    return Path(name)


def _load(port: int, connections: int, seconds: float, file: Path) -> dict[str, Any]:
    argv = [sys.executable, "-m", "bench.load", str(port), str(connections), str(seconds), str(file)]
    try:
        ran = subprocess.run(argv, check=True, capture_output=True, text=True, cwd=ROOT)
    finally:
        file.unlink()
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
