"""The limits of connections and streams: none of them keeps out a signed webhook."""

import asyncio
import logging
import socket
import struct
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from bench.raw_requests import send_raw
from stitcherd.http import connections
from tests.stitcherd.http.conftest import ApiClient, HttpHarness
from tests.stitcherd.http.test_events import open_stream
from tests.stitcherd.http.test_server import HEALTH, PublicServer, hook, public
from tests.stitcherd.http.webhooks import comment_body, signed_headers

__all__ = ["public"]  # a fixture

BODY = comment_body("A remark.")
STREAM = b"GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer reader\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /stitcher/webhook/near HTTP/1.1\r\nHost: loc", hook(BODY)[:-1], HEALTH],
    ids=["silent", "half a header", "half a body", "between requests"],
)
async def test_connections_without_a_whole_request_keep_out_nobody(
    public: PublicServer, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(connections, "WAITING_MAX", 5)
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 8)
    idle = [await public.open() for _ in range(30)]
    for _, writer in idle:
        writer.write(begun)
    await public.wait_for_connections(5)
    for _ in range(10):
        answer = await public.send(hook(BODY))
        assert (answer.status, answer.fault) == (200, None)
    for _, writer in idle:
        writer.close()


async def test_the_longest_waiting_connection_of_the_address_with_the_most_is_closed(
    public: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WAITING_MAX", 4)
    few = await asyncio.open_connection("127.0.0.1", public.port, local_addr=("127.0.0.2", 0))
    await public.wait_for_connections(1)
    many = [await public.open() for _ in range(3)]
    await public.wait_for_connections(4)
    many[0][1].write(HEALTH)  # now it has waited for the shortest time
    assert b" 200 " in await many[0][0].readline()
    newest = await public.open()
    assert await asyncio.wait_for(many[1][0].read(), 10) == b""
    many[1][1].close()
    for reader, writer in (few, many[0], many[2], newest):
        writer.write(HEALTH)
        async with asyncio.timeout(10):
            while b" 200 " not in await reader.readline():
                pass
        writer.close()


async def test_a_burst_of_connections_keeps_out_nobody_who_has_sent_a_request(
    public: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WAITING_MAX", 200)
    # All of it happens before the server is given a turn, as while the machine does something else.
    good = socket.create_connection(("127.0.0.1", public.port))
    good.sendall(hook(BODY))
    silent = [socket.create_connection(("127.0.0.1", public.port)) for _ in range(400)]
    reader, writer = await asyncio.open_connection(sock=good)
    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200 ")
    writer.close()
    for each in silent:
        each.close()


async def test_a_client_waits_for_us_from_the_end_of_its_body_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WAITING_MAX", 2)
    table, loop, closed = connections.ConnectionTable(), asyncio.get_running_loop(), list[str]()
    first, second = table.add(), table.add()
    monkeypatch.setattr(first, "abort", lambda: closed.append("first"))
    monkeypatch.setattr(second, "abort", lambda: closed.append("second"))
    body, late_body = (StreamReader(BaseProtocol(loop), 2**16, loop=loop) for _ in range(2))
    with first.answering(make_mocked_request("POST", "/", payload=body)):
        body.feed_eof()
        assert table.make_room()
        assert closed == [], "one of them waits for us"
    with first.answering(make_mocked_request("POST", "/", payload=late_body)):
        pass  # answered before all of it has arrived
    late_body.feed_eof()
    assert table.make_room()
    assert closed == ["second"], "the other one waits for a shorter time"


async def test_connections_beyond_the_limit_are_answered_503(
    api: HttpHarness, public: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 5)
    async with AsyncExitStack() as opened:
        client = ApiClient(api.public.session, f"http://127.0.0.1:{public.port}")
        for _ in range(5):  # busy with whole requests
            await opened.enter_async_context(open_stream(client, token="reader"))
        for _ in range(3):
            reader, writer = await public.open()  # the whole response comes before a request is sent
            response = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            assert response.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
            assert b"\r\nRetry-After: 5\r\n" in response
            assert b"\r\nContent-Type: application/problem+json\r\n" in response
            assert b'"code":"busy"' in response
    await api.add_event()  # a stream notices that its client is gone when it writes
    await public.wait_for_connections(0)
    assert (await public.send(HEALTH)).status == 200


async def test_streams_are_limited_for_each_token_and_for_all(api: HttpHarness) -> None:
    api.state.streams._each, api.state.streams._total = 3, 5
    async with AsyncExitStack() as opened:
        for _ in range(3):
            await opened.enter_async_context(open_stream(api.public, token="reader"))
        async with api.public.session.get(f"{api.public.base}/events", headers=bearer("reader")) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 0
            assert "token:reader has 3 event streams" in (await answer.json(content_type=None))["detail"]
        for _ in range(2):
            await opened.enter_async_context(open_stream(api.public, token="other"))
        assert (await api.public.request("GET", "/events", "approver"))[0] == 429
        async with open_stream(api.local):  # the operator has a share of its own
            status, _ = await api.public.request(
                "POST", "/stitcher/webhook/near", data=BODY, headers=signed_headers(BODY)
            )
            assert status == 200
    async with asyncio.timeout(10):
        while (await api.public.request("GET", "/events?after=x", "reader"))[0] == 429:
            await api.add_event()  # a stream notices that its client is gone when it writes


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("app", ["public", "local"])
async def test_a_stream_that_is_not_read_and_then_reset_leaves_nothing_in_the_log(
    api: HttpHarness, public: PublicServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, app: str
) -> None:
    caplog.set_level(logging.WARNING)
    deaf = []
    for _ in range(16):
        reader, writer = await (asyncio.open_unix_connection(tmp_path / "s") if app == "local" else public.open())
        writer.write(STREAM)
        assert b" 200 " in await reader.readline()
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        deaf.append(writer)
    big = "x" * 20_000
    for _ in range(5):  # more than the buffers of the kernel and of a connection hold
        await asyncio.gather(*(api.add_event(big=big) for _ in range(60)))
    for writer in deaf:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    async with asyncio.timeout(10):
        while api.state.streams._operator or api.state.streams._taken.total():
            await api.add_event(big=big)
            await asyncio.sleep(0.01)
    assert caplog.records == []


async def test_a_client_that_leaves_before_100_continue_leaves_nothing_in_the_log(
    public: PublicServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    whole = hook(BODY, "Expect: 100-continue")
    for _ in range(200):
        await send_raw(*await public.open(), [whole[: -len(BODY)]], "reset")
    await public.wait_for_connections(0)
    assert caplog.records == []
