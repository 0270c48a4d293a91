"""The open connections of the public server, and which one is closed when there are too many.

Anyone can open connections. Those without a whole request have a limit of their own, beyond which one of them is closed
for each new one: they never keep out a webhook, which is whole within milliseconds. Of the address with the most of
them, it is the one that has been waiting for the longest time. To find it takes one look at each address, and none at
its other connections: a flood of them must not cost the time of those who send requests.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from aiohttp import web

CONNECTIONS_MAX = 1000  # open at once; further ones are answered 503 and closed
WAITING_MAX = 500  # of them, without a whole request


class Connection:
    """One connection of a table, and the request that it is busy with."""

    def __init__(self, table: "ConnectionTable") -> None:
        self.address = ""
        self._table = table
        self._transport: asyncio.BaseTransport | None = None
        self._aborted = False
        self._request: web.BaseRequest | None = None

    def open(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport, and whose it is, once it exists."""
        self._transport = transport
        peer = transport.get_extra_info("peername")
        if self._aborted:
            self.abort()
        elif isinstance(peer, tuple):
            self._table.end_wait(self)
            self.address = peer[0]
            self._table.begin_wait(self)

    @contextmanager
    def answering(self, request: web.BaseRequest) -> Iterator[None]:
        """Note the request while it is being answered; the client waits for us from the end of its body on."""
        self._request = request
        request.content.on_eof(partial(self._end_wait, request))  # which is now, if all of it has arrived
        try:
            yield
        finally:
            self._request = None
            self._table.begin_wait(self)

    def abort(self) -> None:
        """Close at once, without sending what the client has not read."""
        self._aborted = True
        if isinstance(self._transport, asyncio.WriteTransport):
            self._transport.abort()

    def _end_wait(self, request: web.BaseRequest) -> None:
        if self._request is request:  # else it was answered before its body had arrived
            self._table.end_wait(self)


class ConnectionTable:
    """All connections of the public server."""

    def __init__(self) -> None:
        self._open: set[Connection] = set()
        # Those that have yet to send a request, or the rest of its body, by address; of each the longest waiting first.
        self._waiting: dict[str, OrderedDict[Connection, None]] = {}

    def add(self) -> Connection:
        """Return a new connection, counted before its transport exists: many are accepted at once."""
        connection = Connection(self)
        self._open.add(connection)
        self.begin_wait(connection)
        return connection

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._open.discard(connection)
        self.end_wait(connection)

    def begin_wait(self, connection: Connection) -> None:
        """Count an open connection as one that waits for its client from now on."""
        if connection in self._open:
            same = self._waiting.setdefault(connection.address, OrderedDict())
            same[connection] = None
            same.move_to_end(connection)

    def end_wait(self, connection: Connection) -> None:
        """Count a connection no longer as one that waits for its client."""
        same = self._waiting.get(connection.address, OrderedDict())
        same.pop(connection, None)
        if not same:
            self._waiting.pop(connection.address, None)

    def make_room(self) -> bool:
        """Close a waiting connection if there are too many of them; return whether another one may be opened."""
        if len(self._open) >= WAITING_MAX:  # else there cannot be too many
            waiting = sum(map(len, self._waiting.values()))
            if waiting >= WAITING_MAX or (waiting and len(self._open) >= CONNECTIONS_MAX):
                most = max(self._waiting.values(), key=len)
                victim = next(iter(most))
                self.remove(victim)
                victim.abort()
        return len(self._open) < CONNECTIONS_MAX
