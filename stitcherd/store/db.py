"""What the functions of the store need of a connection, whatever database it is to, and how a part is undone.

Their statements are written for SQLite, in what PostgreSQL understands as well but for a few words.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any, Protocol

from stitcherd.store.after_commit import forget_calls, waiting_calls
from stitcherd.store.errors import Conflict

Values = Sequence[Any] | Mapping[str, Any]  # of the placeholders `?` or `:name`


class Row(Protocol):
    """A row: its values in order, each also by its name or its position."""

    def __getitem__(self, key: str | int, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> list[str]:
        """Return the names of the columns."""
        ...


class Found(Protocol):
    """What a statement of the writer has found or changed."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:
        """Return the next row, None where there is none."""
        ...

    def fetchall(self) -> list[Any]:
        """Return all other rows."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Db(Protocol):
    """The connection of the writer, inside its transaction.

    `last_event` is the id and the hash of the newest event, None until it is read: the writer forgets it when a
    transaction begins, and when a part of one is undone.
    """

    last_event: tuple[int, bytes] | None

    def execute(self, statement: str, values: Values = ..., /) -> Found:
        """Run a statement."""
        ...

    def executemany(self, statement: str, values: Iterable[Values], /) -> Found:
        """Run a statement once for each of the values."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is written within it if that raises something; raise Conflict in place of the database's error."""
        ...

    def new_keys(self, table: str, count: int) -> range:
        """Return integer keys for rows that are added in this transaction, higher than any that one has had."""
        ...

    def touch(self) -> None:
        """Write something without changing anything: a transaction that writes nothing would succeed on a full disk."""
        ...

    def release_space(self) -> int:
        """Give a part of the space that is not used back to the file system; return 0 where there is none."""
        ...


@contextmanager
def savepoint(db: Db, violation: type[Exception], is_storage_fault: Callable[[BaseException], bool]) -> Iterator[None]:
    """Undo what is written within it if that raises something; raise Conflict in place of a `violation`.

    After a fault of the storage nothing is undone: the whole transaction is lost.
    """
    calls = waiting_calls()
    db.execute("SAVEPOINT part")
    try:
        yield
    except Exception as error:
        if is_storage_fault(error):
            raise
        db.execute("ROLLBACK TO SAVEPOINT part")
        db.execute("RELEASE SAVEPOINT part")
        db.last_event = None
        forget_calls(calls)
        if isinstance(error, violation):
            raise Conflict(str(error)) from error
        raise
    db.execute("RELEASE SAVEPOINT part")


class Pages(Protocol):
    """The rows of a long read, some at a time."""

    def fetchmany(self, size: int) -> Awaitable[Iterable[Any]]:
        """Return the next rows, none at the end."""
        ...

    def __aiter__(self) -> AsyncIterator[Any]: ...


class Reader(Protocol):
    """A connection that reads, inside a transaction: all that is read is of the same moment."""

    def execute_fetchall(self, statement: str, values: Values = ..., /) -> Awaitable[Iterable[Any]]:
        """Return all rows of a statement."""
        ...

    def execute(self, statement: str, values: Values = ..., /) -> AbstractAsyncContextManager[Pages]:
        """Run a statement whose rows are read some at a time."""
        ...
