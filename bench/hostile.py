"""Malformed requests by the hundred thousand, at both doors, and what becomes of the good ones meanwhile.

python bench/hostile.py PORT SOCKET SEED COUNT     sends them, as a process of its own; prints one JSON line
"""

import asyncio
import collections
import http.client
import itertools
import json
import statistics
import subprocess
import sys
import time
from argparse import Namespace
from typing import Any

from daemon import SECRET, Daemon, comment, request, running
from malformed import Sender, cases
from raw_requests import send_raw

COUNT = 100_000
WARM = 10_000  # before memory is looked at for the first time
AT_ONCE = 48  # connections
PER_SECOND = 600  # malformed requests: far more than anybody sends, and less than fills a core
OF_SOCKET = 0.2  # of the requests go to the operator's door, which asks for no token
PACE = 0.05  # seconds between two good requests


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with running() as daemon:
        with _sending(daemon, 0, WARM) as sending:
            sending.wait()
        quiet = _good(daemon, lambda spent: spent < 5.0)
        before, cpu, begun = daemon.pss(), daemon.cpu(), time.perf_counter()
        with _sending(daemon, 1, COUNT) as sending:
            meanwhile = _good(daemon, lambda _spent: sending.poll() is None)
            found = json.loads(sending.stdout.read())
        spent = time.perf_counter() - begun
        log = (daemon.directory / "log").read_text()
        row = {
            "requests": found["requests"],
            "per_second": round(found["requests"] / spent),
            "faults": len(found["faults"]),
            "tracebacks": log.count("Traceback"),
            "log_lines": len(log.splitlines()),
            "pss_mb": round(before, 1),
            "pss_growth_mb": round(daemon.pss() - before, 1),
            "cpu_s_per_1000": round((daemon.cpu() - cpu) / found["requests"] * 1000, 2),
            "good_p99_ms_quiet": quiet,
            "good_p99_ms_meanwhile": meanwhile,
            "alive": daemon.ask("GET", "/meta")["pid"] == daemon.process.pid,
        }
        return [row, {"statuses": found["statuses"]}, *({"fault": fault} for fault in found["faults"][:20])]


def _sending(daemon: Daemon, seed: int, count: int) -> "subprocess.Popen[bytes]":
    argv = [sys.executable, __file__, str(daemon.port), str(daemon.socket), str(seed), str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE)


def _good(daemon: Daemon, going: Any) -> float:
    """Send good webhooks at a steady pace; return the 99th percentile of their answers, in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    connection.connect()
    times, begun = [], time.perf_counter()
    while going(time.perf_counter() - begun):
        data = request(daemon.port, comment(len(times) + 1, 2_000, f"A remark at {time.time_ns()}."))
        start = time.perf_counter()
        connection.sock.sendall(data)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        if answer.status != 200 or b"ignored" not in answer.read():
            raise SystemExit(f"a good request was answered {answer.status}")
        times.append(time.perf_counter() - start)
        time.sleep(PACE)
    connection.close()
    return round(statistics.quantiles(times, n=100)[98] * 1000, 2)


async def _send(port: int, socket: str, seed: int, count: int) -> dict[str, Any]:
    sender, statuses, faults = Sender("github", SECRET), collections.Counter[str](), list[str]()
    at_socket, begun, sent = int(count * OF_SOCKET), time.perf_counter(), itertools.count()

    async def client(rest: Any, opened: Any) -> None:
        for case in rest:
            await asyncio.sleep(begun + next(sent) / PER_SECOND - time.perf_counter())
            answer = await send_raw(*await opened(), case.pieces, case.ending)
            statuses[str(answer.status)] += 1
            if answer.fault:
                faults.append(f"{case.kind}: {answer.fault} to {case.pieces!r:.600}")

    strangers, operators = cases(seed, count - at_socket, sender, api=False), cases(seed, at_socket, sender, api=True)
    await asyncio.gather(
        *(client(strangers, lambda: asyncio.open_connection("127.0.0.1", port)) for _ in range(AT_ONCE)),
        *(client(operators, lambda: asyncio.open_unix_connection(socket)) for _ in range(AT_ONCE // 8)),
    )
    return {"requests": statuses.total(), "statuses": dict(sorted(statuses.items())), "faults": faults}


if __name__ == "__main__":
    _port, _socket, _seed, _count = sys.argv[1:]
    print(json.dumps(asyncio.run(_send(int(_port), _socket, int(_seed), int(_count)))))
