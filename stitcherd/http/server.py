"""The servers of both apps, with limits on the connections of strangers and on their time."""

import asyncio
import errno
import os
import socket
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from stitcherd.errors import Refusal
from stitcherd.http.connections import ConnectionTable
from stitcherd.http.responses import encode_response, problem_response

IDLE_SECONDS = 15.0  # for the headers of a request, and between requests on one connection
UNREAD_SECONDS = 60.0  # that a response may wait for the client to read it
LINGER_SECONDS = 2.0  # for the rest of a refused body, so that its sender can read the response
LOCAL_IDLE_SECONDS = 3600.0  # between requests on one connection to the Unix socket
BACKLOG = 512  # connections waiting in the kernel to be accepted
# Of these, at once: accepting all would hold up the requests of others for as long as all take. One that was accepted
# also has many turns of the loop, in which its request is read, until so many others came that it is closed for them.
ACCEPTED_AT_ONCE = 16
BUSY_RETRY_SECONDS = 5
REQUEST_LINE_MAX = 8190  # bytes
FIELD_MAX = 8192  # bytes of a header field; another number than that of the request line, to tell their errors apart

# Decompression would verify signatures on other bytes than were sent; the problem middleware logs errors.
PROTOCOL_OPTIONS: dict[str, Any] = {
    "auto_decompress": False,
    "access_log": None,
    "lingering_time": LINGER_SECONDS,
    "max_line_size": REQUEST_LINE_MAX,
    "max_field_size": FIELD_MAX,
}


class AddressUnavailable(Exception):
    """The TCP address cannot be bound; the text names the key and a remedy."""


class _Protocol(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer invalid HTTP, which reaches no handler, with a problem document too."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client is gone, which ends the connection and is no error
        if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        response = _invalid_http(exc, message)
        response.force_close()
        return response


class _PublicProtocol(_Protocol):
    __slots__ = ("_table", "connection")

    def __init__(self, table: ConnectionTable, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._table = table
        self.connection = table.add()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel close connections of clients that do not read their responses."""
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS * 1000))
        super().connection_made(transport)
        self.connection.open(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Give the place of the connection to others."""
        self._table.remove(self.connection)
        super().connection_lost(exc)


class _BusyProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send 503 and close."""
        if isinstance(transport, asyncio.WriteTransport):
            refusal = Refusal("busy", "too many requests are being answered", retry_after=BUSY_RETRY_SECONDS)
            transport.write(encode_response(problem_response(refusal)))
            transport.close()


@web.middleware
async def track_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Note which request a connection is busy with."""
    if not isinstance(request.protocol, _PublicProtocol):
        return await handler(request)
    with request.protocol.connection.answering(request):
        return await handler(request)


async def listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Listen on TCP for an app runner that was set up; raise AddressUnavailable if the address cannot be bound."""
    loop = asyncio.get_running_loop()
    manager, table = _manager(runner), ConnectionTable()

    def protocol() -> asyncio.BaseProtocol:
        if not table.make_room():
            return _BusyProtocol()
        return _PublicProtocol(table, manager, loop=loop, keepalive_timeout=IDLE_SECONDS, **PROTOCOL_OPTIONS)

    try:
        server = await loop.create_server(protocol, host, port, backlog=ACCEPTED_AT_ONCE)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno and error.errno in errno.errorcode else str(error)
        remedy = "end the program that uses it, or choose another http.listen in stitcherd.toml"
        raise AddressUnavailable(f"http.listen {host}:{port} cannot be bound: {reason}; {remedy}") from error
    return _with_backlog(server)


async def listen_locally(runner: web.AppRunner, bound: socket.socket) -> asyncio.Server:
    """Listen on a bound Unix socket for an app runner that was set up."""
    loop, manager = asyncio.get_running_loop(), _manager(runner)

    def protocol() -> asyncio.BaseProtocol:
        return _Protocol(manager, loop=loop, keepalive_timeout=LOCAL_IDLE_SECONDS, **PROTOCOL_OPTIONS)

    return _with_backlog(await loop.create_unix_server(protocol, sock=bound, backlog=ACCEPTED_AT_ONCE))


def _with_backlog(server: asyncio.Server) -> asyncio.Server:
    """Let more connections wait than are accepted at once: asyncio takes one number for both."""
    for listening in server.sockets:
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.listen(BACKLOG)
    return server


def _manager(runner: web.AppRunner) -> web.Server:
    if runner.server is None:
        raise RuntimeError("the runner must be set up first")
    return runner.server


def _invalid_http(error: BaseException | None, message: str | None) -> web.Response:
    if isinstance(error, LineTooLong):
        if REQUEST_LINE_MAX in error.args:
            return problem_response(Refusal("too_large", f"the URL is longer than {REQUEST_LINE_MAX} bytes"), 414)
        return problem_response(Refusal("too_large", f"a header field is longer than {FIELD_MAX} bytes"), 431)
    if "Too many headers" in (message or ""):
        return problem_response(Refusal("too_large", "the request has too many header fields"), 431)
    return problem_response(Refusal("bad_request", f"invalid HTTP: {_first_line(message)}"))


def _first_line(message: str | None) -> str:
    return (message or "").strip().partition("\n")[0].partition(":")[0] or "unreadable"
