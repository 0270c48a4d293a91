"""What is refused before it reaches a route: a problem document on both listeners, and nothing in the log."""

import asyncio
import json
import logging
from itertools import count
from pathlib import Path

import pytest

from bench.raw_requests import RawResponse, send_raw
from stitcherd.http.server import FIELD_MAX, REQUEST_LINE_MAX
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.test_server import hook

HOST = b"Host: localhost\r\nAuthorization: Bearer reader\r\n"
URL_MAX = REQUEST_LINE_MAX


async def send(api: HttpHarness, tmp_path: Path, app: str, data: bytes) -> RawResponse:
    if app == "local":
        return await send_raw(*await asyncio.open_unix_connection(tmp_path / "s"), [data], "read")
    host, port = api.public.base.removeprefix("http://").split(":")
    return await send_raw(*await asyncio.open_connection(host, port), [data], "read")


@pytest.mark.parametrize("app", ["public", "local"])
@pytest.mark.parametrize(
    ("data", "status", "detail"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400, "invalid HTTP: "),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "invalid HTTP: "),
        (b"GET / HTTP/1.1\r\nno field\r\n\r\n", 400, "invalid HTTP: "),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "invalid HTTP: Missing 'Host' header"),
        (hook(b"{}", "Transfer-Encoding: chunked"), 400, "invalid HTTP: "),
        (hook(b"{}", "Content-Length: 3"), 400, "invalid HTTP: "),
        (b"GET /" + b"a" * URL_MAX + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "the URL is longer than 8190 bytes"),
        (b"GET /meta?" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "the URL is longer"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * (FIELD_MAX + 1) + b"\r\n\r\n", 431, "a header field is longer"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 65_536 + b"\r\n\r\n", 431, "a header field is longer"),
        (b"GET / HTTP/1.1\r\n" + b"x" * 9_000 + b": y\r\n\r\n", 431, "a header field is longer"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431, "the request has too many header fields"),
        (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404, "there is nothing at /nowhere"),
        (b"PUT /runner-jobs HTTP/1.1\r\n" + HOST + b"\r\n", 405, "/runner-jobs does not support PUT"),
        (b"BREW /healthz HTTP/1.1\r\n" + HOST + b"\r\n", (400, 405), ""),
        (b"CONNECT localhost:1 HTTP/1.1\r\n" + HOST + b"\r\n", (400, 404, 405), ""),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", (400, 404, 405), ""),
        (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Expect: tea\r\n\r\n", 417, "Expect must be 100-continue"),
    ],
    ids=count(),
)
async def test_every_refusal_is_a_problem(
    api: HttpHarness,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    app: str,
    data: bytes,
    status: int | tuple[int, ...],
    detail: str,
) -> None:
    caplog.set_level(logging.WARNING)
    answer = await send(api, tmp_path, app, data)
    assert answer.status in (status if isinstance(status, tuple) else (status,))
    assert answer.fault is None
    assert json.loads(answer.body)["detail"].startswith(detail)
    assert caplog.records == []


@pytest.mark.parametrize("app", ["public", "local"])
async def test_lines_of_the_longest_length_are_accepted(api: HttpHarness, tmp_path: Path, app: str) -> None:
    path = b"/healthz?" + b"a" * (URL_MAX - 9)
    longest = b"X: " + b"x" * (FIELD_MAX - 1) + b"\r\n"
    answer = await send(api, tmp_path, app, b"GET " + path + b" HTTP/1.1\r\n" + HOST + longest + b"\r\n")
    assert answer.status == 200
