"""The listener of the public door: strangers get a limited number of connections, and limited time."""

import asyncio
from collections.abc import Callable

from aiohttp import web

CONNECTIONS_MAX = 1000  # open at once; beyond it a connection is answered 503 and closed
IDLE_SECONDS = 15.0  # for the headers of a request, and between two requests of one connection
BACKLOG = 512  # connections that the kernel holds until we take them

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say that there is no room, and hang up."""
        if isinstance(transport, asyncio.WriteTransport):
            transport.write(BUSY)
            transport.close()


async def listen(door: web.AppRunner, host: str, port: int) -> asyncio.Server:
    """Listen on TCP for an app that was set up; raises OSError where the address cannot be had."""
    return await asyncio.get_running_loop().create_server(_with_room(door), host, port, backlog=BACKLOG)


def _with_room(door: web.AppRunner) -> Callable[[], asyncio.BaseProtocol]:
    server = door.server
    if server is None:
        raise RuntimeError("the app has to be set up first")

    def protocol() -> asyncio.BaseProtocol:
        return server() if len(server.connections) < CONNECTIONS_MAX else _TurnedAway()

    return protocol
