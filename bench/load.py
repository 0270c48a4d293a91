"""Send prepared HTTP requests in a closed loop over several keep-alive connections, as a separate process.

    python -m bench.load PORT CONNECTIONS SECONDS FILE

FILE contains requests, each preceded by its length in four bytes. Prints one line of JSON.
"""

import asyncio
import json
import struct
import sys
import time
from pathlib import Path


class LoadConnection(asyncio.Protocol):
    """One connection; sends the next request as soon as the last response is complete."""

    def __init__(self, requests: list[bytes], until: float, found: list[tuple[int, float]]) -> None:
        self.requests = requests
        self.until = until
        self.found = found
        self.received = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.next()

    def next(self) -> None:
        if not self.requests or time.perf_counter() >= self.until:
            self.transport.close()
            return
        self.sent = time.perf_counter()
        self.transport.write(self.requests.pop())

    def data_received(self, data: bytes) -> None:
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self.received[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None])
        if len(self.received) >= end + 4 + length:
            self.found.append((int(head[9:12]), time.perf_counter() - self.sent))
            self.received = self.received[end + 4 + length :]
            self.next()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def run(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    found: list[tuple[int, float]] = []
    started = time.perf_counter()
    made = [
        await loop.create_connection(lambda: LoadConnection(requests, started + seconds, found), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.closed for _, client in made))
    spent = time.perf_counter() - started
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
