"""The connections to PostgreSQL, and what its errors mean.

None holds up the others for long: neither one whose daemon was stopped or cut off in its transaction, nor one that
waits for another.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumperUnknown

from stitcherd.store.db import Found, Pages, Values, savepoint
from stitcherd.store.errors import StorageUnavailable, UnusableDatabase
from stitcherd.store.postgres_sql import translate

NETWORK: dict[str, Any] = {  # a server that cannot be reached any more is given up after 10 s
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": "stitcherd",
}
KEEPALIVES = (  # the server gives up a client that cannot be reached any more, and with it what that has locked
    b"SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"
)
WRITER_RULES = (
    b"SET synchronous_commit = on; SET default_transaction_isolation = 'read committed';"
    b" SET idle_in_transaction_session_timeout = '5s'; SET statement_timeout = '10s'; SET lock_timeout = '2s'; "
    + KEEPALIVES
)
READER_RULES = (
    b"SET default_transaction_isolation = 'repeatable read'; SET default_transaction_read_only = on;"
    b" SET statement_timeout = '10s'; SET idle_in_transaction_session_timeout = '10min'; " + KEEPALIVES
)
STATEMENTS_PREPARED = 500  # on each connection
_RAISE_KEY = "UPDATE highest_keys SET seq = seq + ? WHERE name = ? RETURNING seq"
_DISK_FULL = "53100"


class PostgresRow:
    """A row: its values in order, each also by its name or its position."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: dict[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: str | int) -> Any:
        return self._values[self._places[key] if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        return list(self._places)


def make_row(cursor: Any) -> Callable[[Sequence[Any]], PostgresRow]:
    """Return what makes the rows of a cursor; of columns with the same name, the first has it."""
    places: dict[str, int] = {}
    for place, column in enumerate(cursor.description or ()):
        places.setdefault(column.name, place)
    return lambda values: PostgresRow(places, values)


class PostgresDb:
    """The connection of the writer."""

    def __init__(self, connection: psycopg.Connection[PostgresRow]) -> None:
        self.connection = connection
        self.last_event: tuple[int, bytes] | None = None

    def execute(self, statement: str, values: Values = (), /) -> Found:
        """Run a statement."""
        return self.connection.execute(translate(statement), values)

    def executemany(self, statement: str, values: Iterable[Values], /) -> Found:
        """Run a statement once for each of the values."""
        cursor = self.connection.cursor()
        cursor.executemany(translate(statement), values)
        return cursor

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is written within it if that raises something; raise Conflict in place of the database's error."""
        return savepoint(self, psycopg.IntegrityError, is_storage_fault)

    def new_keys(self, table: str, count: int) -> range:
        """Return the integer keys after the highest that a row of the table has had."""
        last = self.execute(_RAISE_KEY, [count, table]).fetchone()["seq"]
        return range(last - count + 1, last + 1)

    def touch(self) -> None:
        """Write a page without changing anything."""
        self.execute("UPDATE meta SET value = value WHERE name = 'instance'")

    def release_space(self) -> int:
        """Return 0: PostgreSQL uses the space of deleted rows again by itself."""
        return 0


class PostgresReader:
    """A connection that reads."""

    def __init__(self, connection: psycopg.AsyncConnection[PostgresRow]) -> None:
        self.connection = connection

    async def begin(self) -> None:
        """Begin a transaction, which sees what is stored by its first statement."""
        await self.connection.execute(b"BEGIN", prepare=False)

    async def execute_fetchall(self, statement: str, values: Values = (), /) -> list[PostgresRow]:
        """Return all rows of a statement."""
        return await (await self.connection.execute(translate(statement), values)).fetchall()

    @asynccontextmanager
    async def execute(self, statement: str, values: Values = (), /) -> AsyncIterator[Pages]:
        """Run a statement whose rows are read some at a time."""
        async with self.connection.cursor(name="pages") as cursor:
            await cursor.execute(translate(statement), values)
            yield cursor


def connect_writer(dsn: str) -> PostgresDb:
    """Open the connection that writes, in transactions that its user begins; raises UnusableDatabase, psycopg.Error."""
    with _private():
        connection = psycopg.Connection.connect(dsn, autocommit=True, row_factory=make_row, **NETWORK)
    _adapt(connection)
    connection.execute(WRITER_RULES, prepare=False)
    return PostgresDb(connection)


async def connect_reader(dsn: str) -> PostgresReader:
    """Open a connection that cannot write; raises UnusableDatabase, psycopg.Error."""
    with _private():
        connection = await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=make_row, **NETWORK)
    _adapt(connection)
    await connection.execute(READER_RULES, prepare=False)
    return PostgresReader(connection)


def is_storage_fault(error: BaseException) -> bool:
    """Return whether an error is one of PostgreSQL that does not blame the statement: it is away, locked or full."""
    if isinstance(error, psycopg.InternalError):
        return (error.sqlstate or "XX").startswith("XX")
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def unavailable(error: Exception) -> StorageUnavailable:
    """Return what to raise in place of an error of PostgreSQL."""
    lacks_space = isinstance(error, psycopg.Error) and error.sqlstate == _DISK_FULL
    return StorageUnavailable(" ".join(str(error).split()), lacks_space=lacks_space)


@contextmanager
def _private() -> Iterator[None]:
    """Raise UnusableDatabase in place of an error that quotes a part of the connection string."""
    try:
        yield
    except psycopg.ProgrammingError:
        raise UnusableDatabase("store.dsn is no connection string of PostgreSQL") from None


def _adapt(connection: psycopg.Connection[PostgresRow] | psycopg.AsyncConnection[PostgresRow]) -> None:
    """Convert values as SQLite does."""
    connection.prepared_max = STATEMENTS_PREPARED
    connection.adapters.register_dumper(int, Int8Dumper)  # of one type whatever its size: prepared once
    connection.adapters.register_dumper(bool, _BoolDumper)
    connection.adapters.register_dumper(str, _TextDumper)
    connection.adapters.register_loader("numeric", _SumLoader)


class _BoolDumper(Int8Dumper):
    """Writes a boolean as 0 or 1."""

    def dump(self, obj: Any) -> Buffer | None:
        return b"1" if obj else b"0"


class _TextDumper(StrDumperUnknown):
    """Writes text; PostgreSQL has none with NUL, which strangers may send."""

    def dump(self, obj: str) -> Buffer | None:
        return obj.replace("\0", "\N{REPLACEMENT CHARACTER}").encode()


class _SumLoader(Loader):
    """Reads sums of integers, of which alone PostgreSQL makes numeric values."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))
