"""Malformed requests to both listeners, then thousands of slow connections, with valid requests meanwhile.

python -m bench hostile --requests 1000000 --seed 7 --idle 10000 --rate 3000
python -m bench.hostile malformed PORT SOCKET SEED COUNT RATE     sends them, as a separate process
python -m bench.hostile slow PORT COUNT SECONDS                   holds connections; both print one line of JSON
"""

import asyncio
import collections
import http.client
import itertools
import json
import socket
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
from bench.slow_clients import hold, raise_descriptor_limit

WARM = 10_000  # requests before memory is measured for the first time
CONNECTIONS = 48
OF_SOCKET = 0.2  # share of the requests that go to the Unix socket, which needs no token
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
PACE = 0.05  # seconds between two valid requests
QUIET_SECONDS = 5.0
SLOW_SECONDS = 20.0  # that slow connections are held after the last one was opened


def measure(options: Namespace) -> list[dict[str, Any]]:
    with run_daemon() as daemon:
        with _start("malformed", daemon.port, daemon.socket, options.seed - 1, WARM, options.rate) as sending:
            sending.wait()
        quiet = _valid_p99(daemon, lambda spent: spent < QUIET_SECONDS)
        malformed = ("malformed", daemon.port, daemon.socket, options.seed, options.requests, options.rate)
        rows = [
            _load(daemon, quiet, *malformed),
            _load(daemon, quiet, "slow", daemon.port, options.idle, SLOW_SECONDS),
        ]
        return [*rows, *({"fault": fault} for row in rows for fault in row.pop("faults")[:20])]


def _load(daemon: BenchDaemon, quiet: float, *words: object) -> dict[str, Any]:
    """Run a hostile client and send valid requests meanwhile; return what was found."""
    before, cpu, started = daemon.pss(), daemon.cpu(), time.perf_counter()
    with _start(*words) as client:
        meanwhile = _valid_p99(daemon, lambda _spent: client.poll() is None)
        assert client.stdout is not None
        found: dict[str, Any] = json.loads(client.stdout.read())
    log = (daemon.directory / "log").read_text()
    return {
        **found,
        "faulty": len(found["faults"]),
        "seconds": round(time.perf_counter() - started),
        "cpu_s": round(daemon.cpu() - cpu, 1),
        "tracebacks": log.count("Traceback"),
        "log_lines": len(log.splitlines()),
        "pss_mb": round(before, 1),
        "pss_growth_mb": round(daemon.pss() - before, 1),
        "good_p99_ms_quiet": quiet,
        "good_p99_ms_meanwhile": meanwhile,
        "alive": daemon.request("GET", "/meta")["pid"] == daemon.process.pid,
    }


def _start(*words: object) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "bench.hostile", *map(str, words)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=ROOT)


def _valid_p99(daemon: BenchDaemon, going: Callable[[float], bool]) -> float:
    """Send valid webhooks at a steady pace, each on a new connection, as one that waits is closed for others.

    Return the 99th percentile of the response times in ms.
    """
    times: list[float] = []
    started = time.perf_counter()
    while going(time.perf_counter() - started):
        data = signed_request(daemon.port, comment_body(len(times) + 1, 2_000, f"A remark at {time.time_ns()}."))
        start = time.perf_counter()
        with socket.create_connection(("127.0.0.1", daemon.port), 30) as connection:
            connection.sendall(data)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            if answer.status != 200 or b"ignored" not in answer.read():
                raise SystemExit(f"a valid request was answered {answer.status}")
        times.append(time.perf_counter() - start)
        time.sleep(PACE)
    return round(statistics.quantiles(times, n=100)[98] * 1000, 2)


async def _send(port: int, local_socket: str, seed: int, count: int, rate: float) -> dict[str, Any]:
    sender, statuses, faults = Sender("github", SECRET), collections.Counter[str](), list[str]()
    at_socket, started, sent = int(count * OF_SOCKET), time.perf_counter(), itertools.count()

    async def client(remaining: Iterator[Case], connect: Connect) -> None:
        for case in remaining:
            await asyncio.sleep(started + next(sent) / rate - time.perf_counter())
            reader, writer = await connect()
            answer = await send_raw(reader, writer, case.pieces, case.ending)
            statuses[str(answer.status)] += 1
            if answer.fault:
                faults.append(f"{case.kind}: {answer.fault} to {case.pieces!r:.600}")

    public, local = cases(seed, count - at_socket, sender, api=False), cases(seed, at_socket, sender, api=True)
    await asyncio.gather(
        *(client(public, lambda: asyncio.open_connection("127.0.0.1", port)) for _ in range(CONNECTIONS)),
        *(client(local, lambda: asyncio.open_unix_connection(local_socket)) for _ in range(CONNECTIONS // 8)),
    )
    return {"requests": statuses.total(), "statuses": dict(sorted(statuses.items())), "faults": faults}


def main(kind: str, *words: str) -> None:
    """Be the hostile client, in a process of its own."""
    if kind == "slow":
        port, connections, seconds = words
        raise_descriptor_limit(int(connections))
        found = asyncio.run(hold(int(port), int(connections), float(seconds)))
    else:
        port, local_socket, seed, count, rate = words
        found = asyncio.run(_send(int(port), local_socket, int(seed), int(count), float(rate)))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
