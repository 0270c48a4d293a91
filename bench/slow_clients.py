"""Connections that never send a whole request: silent, slow, or with a length that is not true."""

import asyncio
import itertools
import resource
from collections import Counter
from contextlib import suppress
from typing import Any

from bench.raw_requests import PROBLEM

OPENED_PER_SECOND = 1000
BYTE_SECONDS = 1.0  # between two bytes of a slow client
SPARE_DESCRIPTORS = 200
HEAD = b"POST /stitcher/webhook/github HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
# What is sent at once, and then byte by byte.
KINDS = {
    "silent": (b"", b""),
    "half a head": (HEAD, b""),
    "slow head": (b"", HEAD * 100),
    "half a body": (HEAD + b'Content-Length: 1000\r\n\r\n{"action": ', b""),
    "slow body": (HEAD + b"Content-Length: 100000\r\n\r\n", b'{"action": "created"}' * 1000),
    "length too great": (HEAD + b"Content-Length: 1048576\r\n\r\n{}", b""),
    "chunk without end": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffff\r\n{", b"}" * 1000),
    "between requests": (HEALTH, b""),
    "half a second request": (HEALTH + HEAD, b""),
}


def raise_descriptor_limit(connections: int) -> None:
    """Let this process have as many connections. Raises ValueError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, connections + SPARE_DESCRIPTORS), hard))


async def hold(port: int, count: int, seconds: float) -> dict[str, Any]:
    """Open `count` connections, keep each until the daemon closes it, or for `seconds` after the last was opened.

    Return how many were opened, how many of them were open at the same time at most, what was answered, and the faults.
    """
    found, faults, is_open = Counter[str](), list[str](), Counter[str]()
    most, over, tasks = 0, asyncio.Event(), set[asyncio.Task[None]]()
    begun = asyncio.get_running_loop().time()

    async def client(kind: str) -> None:
        nonlocal most
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            found["refused"] += 1
            return
        is_open["now"] += 1
        most = max(most, is_open["now"])
        sending = asyncio.create_task(_send(writer, *KINDS[kind]))
        reading, ending = asyncio.create_task(reader.read(65_536)), asyncio.create_task(over.wait())
        try:
            while not over.is_set():
                await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
                answer = reading.result() if reading.done() and not reading.exception() else b""
                if not answer:
                    break
                found[answer.split(b" ", 2)[1].decode()] += 1
                if fault := _fault(answer):
                    faults.append(f"{kind}: {fault}")
                reading = asyncio.create_task(reader.read(65_536))
        finally:
            found["kept" if over.is_set() else "closed"] += 1
            is_open["now"] -= 1
            for task in (sending, reading, ending):
                task.cancel()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    for number, kind in zip(range(count), itertools.cycle(KINDS), strict=False):
        task = asyncio.create_task(client(kind))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(begun + number / OPENED_PER_SECOND - asyncio.get_running_loop().time())
    await asyncio.sleep(seconds)
    over.set()
    await asyncio.gather(*tasks)
    return {"opened": count, "most_at_once": most, "answers": dict(sorted(found.items())), "faults": faults}


async def _send(writer: asyncio.StreamWriter, beginning: bytes, slowly: bytes) -> None:
    with suppress(ConnectionError):
        writer.write(beginning)
        for byte in slowly:
            await asyncio.sleep(BYTE_SECONDS)
            writer.write(bytes([byte]))
            await writer.drain()


def _fault(answer: bytes) -> str | None:
    """Return why a slow client must not be answered like this, or None."""
    status = int(answer.split(b" ", 2)[1])
    if status >= 500 or (status >= 400 and PROBLEM.encode() not in answer):
        return f"{answer[:300]!r}"
    return None
