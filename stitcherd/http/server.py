"""The listener of the public door: strangers get a limited number of connections, and limited time."""

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.responses import problem_response

CONNECTIONS_MAX = 1000  # open at once; beyond it a connection is answered 503 and closed
IDLE_SECONDS = 15.0  # for the headers of a request, and between two requests of one connection
UNREAD_SECONDS = 60.0  # that an answer may wait for its reader
LINGER_SECONDS = 2.0  # for the rest of a body that nobody wants, so that its sender comes to hear why
BACKLOG = 512  # connections that the kernel holds until we take them

# No decompression: it would check the signature on other bytes than were sent. Faults are logged by our own answers.
PROTOCOL_OPTIONS: dict[str, Any] = {"auto_decompress": False, "access_log": None}

BUSY_RESPONSE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _PublicProtocol(web.RequestHandler):
    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the kernel hang up on whoever asks and does not read the answers."""
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_SECONDS * 1000))
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer what is no HTTP, and so comes to no handler, as every other refusal is answered."""
        if not HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        response = problem_response(Refusal("bad_request", f"this is no HTTP: {_first_line(message)}"))
        response.force_close()
        return response


class _BusyProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say that there is no room, and hang up."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(BUSY_RESPONSE)
            transport.close()


async def listen(door: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Listen on TCP for an app that was set up; raises OSError where the address cannot be had."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(_protocol_factory(door, loop), host, port, backlog=BACKLOG)


def _protocol_factory(door: web.AppRunner, loop: asyncio.AbstractEventLoop) -> Callable[[], asyncio.BaseProtocol]:
    server = door.server
    if server is None:
        raise RuntimeError("the app has to be set up first")

    def protocol() -> asyncio.BaseProtocol:
        if len(server.connections) >= CONNECTIONS_MAX:
            return _BusyProtocol()
        return _PublicProtocol(
            server, loop=loop, keepalive_timeout=IDLE_SECONDS, lingering_time=LINGER_SECONDS, **PROTOCOL_OPTIONS
        )

    return protocol


def _first_line(message: str | None) -> str:
    return (message or "").strip().partition("\n")[0].partition(":")[0] or "it cannot be read"
