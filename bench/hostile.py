"""A hundred thousand malformed requests to both listeners, and the response times of valid requests meanwhile.

python -m bench.hostile PORT SOCKET SEED COUNT     sends them, as a separate process; prints one line of JSON
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
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from bench.daemon import ROOT, SECRET, BenchDaemon, comment_body, run_daemon, signed_request
from bench.malformed import Case, Sender, cases
from bench.raw_requests import send_raw

COUNT = 100_000
WARM = 10_000  # requests before memory is measured for the first time
CONNECTIONS = 48
PER_SECOND = 600  # malformed requests: far more than in practice, and less than one core can handle
OF_SOCKET = 0.2  # share of the requests that go to the Unix socket, which needs no token
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
PACE = 0.05  # seconds between two valid requests


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with run_daemon() as daemon:
        with _sending(daemon, 0, WARM) as sending:
            sending.wait()
        quiet = _valid_p99(daemon, lambda spent: spent < 5.0)
        before, cpu, started = daemon.pss(), daemon.cpu(), time.perf_counter()
        with _sending(daemon, 1, COUNT) as sending:
            meanwhile = _valid_p99(daemon, lambda _spent: sending.poll() is None)
            assert sending.stdout is not None
            found = json.loads(sending.stdout.read())
        spent = time.perf_counter() - started
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
            "alive": daemon.request("GET", "/meta")["pid"] == daemon.process.pid,
        }
        return [row, {"statuses": found["statuses"]}, *({"fault": fault} for fault in found["faults"][:20])]


def _sending(daemon: BenchDaemon, seed: int, count: int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "bench.hostile", str(daemon.port), str(daemon.socket), str(seed), str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT)


def _valid_p99(daemon: BenchDaemon, going: Callable[[float], bool]) -> float:
    """Send valid webhooks at a steady pace; return the 99th percentile of the response times in ms."""
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=30)
    connection.connect()
    assert connection.sock is not None
    times: list[float] = []
    started = time.perf_counter()
    while going(time.perf_counter() - started):
        data = signed_request(daemon.port, comment_body(len(times) + 1, 2_000, f"A remark at {time.time_ns()}."))
        start = time.perf_counter()
        connection.sock.sendall(data)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        if answer.status != 200 or b"ignored" not in answer.read():
            raise SystemExit(f"a valid request was answered {answer.status}")
        times.append(time.perf_counter() - start)
        time.sleep(PACE)
    connection.close()
    return round(statistics.quantiles(times, n=100)[98] * 1000, 2)


async def _send(port: int, socket: str, seed: int, count: int) -> dict[str, Any]:
    sender, statuses, faults = Sender("github", SECRET), collections.Counter[str](), list[str]()
    at_socket, started, sent = int(count * OF_SOCKET), time.perf_counter(), itertools.count()

    async def client(remaining: Iterator[Case], connect: Connect) -> None:
        for case in remaining:
            await asyncio.sleep(started + next(sent) / PER_SECOND - time.perf_counter())
            reader, writer = await connect()
            answer = await send_raw(reader, writer, case.pieces, case.ending)
            statuses[str(answer.status)] += 1
            if answer.fault:
                faults.append(f"{case.kind}: {answer.fault} to {case.pieces!r:.600}")

    public, local = cases(seed, count - at_socket, sender, api=False), cases(seed, at_socket, sender, api=True)
    await asyncio.gather(
        *(client(public, lambda: asyncio.open_connection("127.0.0.1", port)) for _ in range(CONNECTIONS)),
        *(client(local, lambda: asyncio.open_unix_connection(socket)) for _ in range(CONNECTIONS // 8)),
    )
    return {"requests": statuses.total(), "statuses": dict(sorted(statuses.items())), "faults": faults}


if __name__ == "__main__":
    _port, _socket, _seed, _count = sys.argv[1:]
    print(json.dumps(asyncio.run(_send(int(_port), _socket, int(_seed), int(_count)))))
