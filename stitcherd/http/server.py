"""The TCP server of the public app, with limits on connections and on their time."""

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.responses import problem_response

CONNECTIONS_MAX = 1000  # open at once; further ones are answered 503 and closed
IDLE_SECONDS = 15.0  # for the headers of a request, and between requests on one connection
UNREAD_SECONDS = 60.0  # that a response may wait for the client to read it
LINGER_SECONDS = 2.0  # for the rest of a refused body, so that its sender can read the response
BACKLOG = 512  # connections waiting in the kernel to be accepted

# Decompression would verify signatures on other bytes than were sent; the problem middleware logs errors.
PROTOCOL_OPTIONS: dict[str, Any] = {"auto_decompress": False, "access_log": None}

BUSY_RESPONSE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _PublicProtocol(web.RequestHandler):
    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel close connections of clients that do not read their responses."""
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS * 1000))
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer invalid HTTP, which reaches no handler, with a problem document too."""
        if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        response = problem_response(Refusal("bad_request", f"invalid HTTP: {_first_line(message)}"))
        response.force_close()
        return response


class _BusyProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send 503 and close."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(BUSY_RESPONSE)
            transport.close()


async def listen(runner: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Listen on TCP for an app runner that was set up; raise OSError if the address cannot be bound."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(_protocol_factory(runner, loop), host, port, backlog=BACKLOG)


def _protocol_factory(runner: web.AppRunner, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.BaseProtocol]:
    server = runner.server
    if server is None:
        raise RuntimeError("the runner must be set up first")

    def protocol() -> asyncio.BaseProtocol:
        if len(server.connections) >= CONNECTIONS_MAX:
            return _BusyProtocol()
        return _PublicProtocol(
            server, loop=loop, keepalive_timeout=IDLE_SECONDS, lingering_time=LINGER_SECONDS, **PROTOCOL_OPTIONS
        )

    return protocol


def _first_line(message: str | None) -> str:
    return (message or "").strip().partition("\n")[0].partition(":")[0] or "unreadable"
