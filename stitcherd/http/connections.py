"""The open connections of the public server, and which one is closed when there are too many.

Anyone can open connections. Those without a whole request have a limit of their own, beyond which one of them is closed
for each new one: they never keep out a webhook, which is whole within milliseconds. Of the address with the most of
them, it is the one that has been waiting for the longest time.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

CONNECTIONS_MAX = 1000  # open at once; further ones are answered 503 and closed
WAITING_MAX = 500  # of them, without a whole request


class Connection:
    """One connection, and the request that it is busy with."""

    def __init__(self) -> None:
        self.address = ""
        self.waiting_since = time.monotonic()
        self._transport: asyncio.BaseTransport | None = None
        self._aborted = False
        self._request: web.BaseRequest | None = None

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport, and whose it is, once it exists."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else ""
        if self._aborted:
            self.abort()

    @property
    def waiting(self) -> bool:
        """Return whether the client has yet to send a request, or the rest of its body."""
        return self._request is None or not self._request.content.is_eof()

    @contextmanager
    def answering(self, request: web.BaseRequest) -> Iterator[None]:
        """Note the request while it is being answered."""
        self._request = request
        try:
            yield
        finally:
            self._request = None
            self.waiting_since = time.monotonic()

    def abort(self) -> None:
        """Close at once, without sending what the client has not read."""
        self._aborted = True
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()


class ConnectionTable:
    """All connections of the public server."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()

    def add(self) -> Connection:
        """Return a new connection, counted before its transport exists: many are accepted at once."""
        connection = Connection()
        self._open.add(connection)
        return connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)

    def make_room(self) -> bool:
        """Close a waiting connection if there are too many of them; return whether another one may be opened."""
        if len(self._open) >= WAITING_MAX:  # else there cannot be too many
            waiting = [connection for connection in self._open if connection.waiting]
            if len(waiting) >= WAITING_MAX or (waiting and len(self._open) >= CONNECTIONS_MAX):
                victim = _longest_waiting(waiting)
                self.remove(victim)
                victim.abort()
        return len(self._open) < CONNECTIONS_MAX


def _longest_waiting(waiting: list[Connection]) -> Connection:
    """Return the oldest connection of the address that has the most."""
    ((address, _),) = Counter(connection.address for connection in waiting).most_common(1)
    return min((each for each in waiting if each.address == address), key=lambda each: each.waiting_since)
