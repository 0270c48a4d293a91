"""A closed loop of prepared HTTP requests over several keep-alive connections, as a process of its own.

    python bench/load.py PORT CONNECTIONS SECONDS FILE

FILE holds requests, each behind its length as four bytes. Prints one JSON line.
"""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path


class Client(asyncio.Protocol):
    """One connection: sends the next request as soon as the answer to the last one is whole."""

    def __init__(self, requests: "list[bytes]", until: float, found: "list[tuple[int, float]]") -> None:
        self.requests = requests
        self.until = until
        self.found = found
        self.rest = b""
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.next()

    def next(self) -> None:
        if not self.requests or time.perf_counter() >= self.until:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(self.requests.pop())

    def data_received(self, data: bytes) -> None:
        self.rest += data
        end = self.rest.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.rest[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
        if len(self.rest) >= end + 4 + length:
            self.found.append((int(head[9:12]), time.perf_counter() - self.sent))
            self.rest = self.rest[end + 4 + length :]
            self.next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def run(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    found: list[tuple[int, float]] = []
    begun = time.perf_counter()
    made = [
        await loop.create_connection(lambda: Client(requests, begun + seconds, found), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.over for _, client in made))
    spent = time.perf_counter() - begun
    times = sorted(seconds for _, seconds in found)
    statuses = {str(status): sum(each == status for each, _ in found) for status in {each for each, _ in found}}
    return {
        "requests": len(found),
        "per_second": round(len(found) / spent),
        "p50_ms": round(times[len(times) // 2] * 1000, 2),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 2),
        "statuses": statuses,
        "left": len(requests),
    }


def main() -> None:
    port, connections, seconds, file = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    data, requests, at = file.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        requests.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    requests.reverse()
    print(json.dumps(asyncio.run(run(port, connections, seconds, requests))))


if __name__ == "__main__":
    main()
