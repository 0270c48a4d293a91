"""The TCP server under hostile clients: malformed, slow and aborted requests."""

import asyncio
import collections
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bench.malformed import Case, Sender, cases
from bench.raw_requests import RawResponse, send_raw
from stitcherd.http import requests, server
from stitcherd.http.apps import public_app
from stitcherd.jobs import refused_signatures
from tests.stitcherd.http.conftest import SECRET, HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook, signed_headers

AT_ONCE = 16
TIMEOUT = 20.0
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class PublicServer:
    """The public app on the daemon's own TCP server."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self.port = port

    @property
    def connections(self) -> int:
        assert self._runner.server is not None
        return len(self._runner.server.connections)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def send(self, *pieces: bytes, ending: str = "read") -> RawResponse:
        return await send_raw(*await self.open(), pieces, ending)

    async def wait_for_connections(self, connections: int) -> None:
        """Return once so many connections are open."""
        async with asyncio.timeout(TIMEOUT):
            while self.connections != connections:  # noqa: ASYNC110 (aiohttp has no event for it)
                await asyncio.sleep(0.01)


@pytest.fixture
async def public(api: HttpHarness) -> AsyncIterator[PublicServer]:
    async with AsyncExitStack() as closing:
        runner = web.AppRunner(public_app(api.state), shutdown_timeout=0.1)
        await runner.setup()
        closing.push_async_callback(runner.cleanup)
        listener = await server.listen(runner, "127.0.0.1", 0)
        closing.callback(listener.close)
        yield PublicServer(runner, listener.sockets[0].getsockname()[1])


def hook(body: bytes, *lines: str, source: str = "near", length: int | None = None) -> bytes:
    """Return the bytes of a signed webhook, with more header lines."""
    given = [f"{name}: {value}" for name, value in signed_headers(body).items()]
    first = [f"POST /stitcher/webhook/{source} HTTP/1.1", "Host: localhost", "Connection: close"]
    framed = [f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*first, *given, *lines, *framed, "", ""]).encode() + body


@pytest.mark.parametrize(("app", "many"), [("public", 2500), ("local", 1000)])
async def test_thousands_of_malformed_requests_are_refused(
    api: HttpHarness, public: PublicServer, tmp_path: Path, caplog: Any, app: str, many: int
) -> None:
    caplog.set_level(logging.WARNING)
    faults, statuses = list[tuple[Case, str]](), collections.Counter[int]()

    async def client(rest: Iterator[Case]) -> None:
        for case in rest:
            stream = await (asyncio.open_unix_connection(tmp_path / "s") if app == "local" else public.open())
            answer = await send_raw(*stream, case.pieces, case.ending)
            statuses[answer.status] += 1
            if answer.fault:
                faults.append((case, answer.fault))

    rest = cases(1, many, Sender("near", SECRET.encode()), api=app == "local")
    clients, accepted = asyncio.gather(*(client(rest) for _ in range(AT_ONCE))), 0
    while not clients.done():  # meanwhile valid webhooks are accepted
        status, response = await send_webhook(api, "near", comment_body(f"Remark {accepted}."))
        assert (status, response["verdict"]) == (200, "ignored")
        accepted += 1
        await asyncio.sleep(0.01)
    await clients
    assert faults == []
    warned = [record for record in caplog.records if record.name != refused_signatures.__name__]
    assert warned == []
    assert len(caplog.records) <= 1, "one line a minute for each source"
    assert {200, 400, 404, 405, 422} <= set(statuses), "the cases are too poor"
    for path in ("/deliveries?limit=500", "/runner-jobs?limit=500"):
        assert (await api.local.request("GET", path))[0] == 200


@pytest.mark.parametrize(
    "begun", [b"", b"POST /stitcher/webhook/near HTTP/1.1\r\nHost: loc", HEALTH + b"GET /"], ids=count()
)
async def test_slow_headers_have_a_deadline(
    public: PublicServer, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(server, "IDLE_SECONDS", 0.3)
    reader, writer = await public.open()
    writer.write(begun)
    for _ in range(3):  # a byte now and then buys no time
        await asyncio.sleep(0.05)
        writer.write(b"x" if begun else b"")
    async with asyncio.timeout(TIMEOUT):
        assert (await reader.read()).count(b"200 OK") == begun.count(b"healthz")
    writer.close()
    await public.wait_for_connections(0)


async def test_slow_bodies_have_a_deadline(
    api: HttpHarness, public: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.3)
    body = comment_body("@mosaic hello")
    answer = await public.send(hook(body, length=len(body) + 10))
    assert (answer.status, answer.fault) == (400, None)
    assert "did not arrive" in json.loads(answer.body)["detail"]
    assert (await api.local.request("GET", "/deliveries"))[1]["items"] == []


async def test_a_client_that_reads_no_responses_is_disconnected(
    public: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "UNREAD_SECONDS", 0.5)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    await asyncio.get_running_loop().sock_connect(deaf, ("127.0.0.1", public.port))
    await public.wait_for_connections(1)
    asking = asyncio.create_task(asyncio.get_running_loop().sock_sendall(deaf, HEALTH * 200_000))
    await public.wait_for_connections(0)
    asking.cancel()
    with pytest.raises((asyncio.CancelledError, ConnectionError)):
        await asking
    deaf.close()


async def test_an_incomplete_body_is_not_stored(api: HttpHarness, public: PublicServer, caplog: Any) -> None:
    body = comment_body("@mosaic hello")
    for ending in ("half", "reset"):
        for kept in (1, len(body) // 2, len(body) - 1):
            whole = hook(body)
            assert (await public.send(whole[: kept - len(body)], ending=ending)).status in {0, 400}
    await public.wait_for_connections(0)
    assert (await api.local.request("GET", "/deliveries"))[1]["items"] == []
    assert caplog.records == []


async def test_expect_100_continue_is_answered(public: PublicServer) -> None:
    whole = hook(comment_body("A remark."), "Expect: 100-continue")
    at = whole.index(b"\r\n\r\n") + 4
    reader, writer = await public.open()
    writer.write(whole[:at])
    async with asyncio.timeout(TIMEOUT):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(whole[at:])
        assert b" 200 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Content-Type: \udcff", 415),
        ("Content-Type: application/json; charset=\udce9", 415),
        ("Content-Encoding: \udcff", 415),
        ("Expect: \udcff", 417),
        ("Host: \udcff", 403),
        ("X-Hub-Signature-256: \udcff", 401),
    ],
)
async def test_odd_bytes_in_headers_are_refused_with_a_problem(public: PublicServer, line: str, status: int) -> None:
    body = comment_body("A remark.")
    name = line.partition(":")[0]
    kept = [each for each in hook(body).split(b"\r\n") if not each.startswith(name.encode())]
    answer = await public.send(b"\r\n".join([kept[0], line.encode(errors="surrogateescape"), *kept[1:]]))
    assert (answer.status, answer.fault) == (status, None)
