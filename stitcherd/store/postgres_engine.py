"""The PostgreSQL database, as the writer uses it: transactions, one at a time for all daemons, and lost connections.

Without the lock, the events of a transaction that commits later could have lower ids than those of one that has
committed before: who follows the events by their ids would miss them.
"""

import contextlib
import time

import psycopg

from stitcherd import crash_points
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.postgres_connections import connect_writer, is_storage_fault, unavailable
from stitcherd.store.postgres_schema import CHANNEL, WRITER_LOCK, create_or_migrate

OUTCOME_SECONDS = 8.0  # to find out what became of a commit whose connection was lost: forges wait for ten
_RETRY_SECONDS = 0.2
_BEGIN = b"BEGIN; SELECT pg_advisory_xact_lock(%d); SELECT CAST(pg_current_xact_id() AS text) AS id" % WRITER_LOCK
_COMMIT = (
    "WITH added AS (UPDATE highest_keys SET seq = newest.id FROM (SELECT max(id) AS id FROM events) newest"
    " WHERE name = 'events' AND seq < newest.id RETURNING 1)"
    f" SELECT pg_notify('{CHANNEL}', '') FROM added; COMMIT"
).encode()


class PostgresEngine:
    """The database that a connection string names.

    Raises NewerDatabase, UnusableDatabase, psycopg.Error where it cannot be used.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self.db = connect_writer(dsn)
        self._transaction = ""
        self._has_begun = self._was_aborted = False
        try:
            create_or_migrate(self.db)
        except BaseException:
            self.db.connection.close()
            raise

    def prepare(self) -> None:
        """Connect again where the connection was lost."""
        self._has_begun = self._was_aborted = False
        self._connect()

    def begin(self) -> None:
        """Begin a transaction that writes, once no other daemon has one, all in one round trip."""
        self.db.last_event = None
        self._has_begun = True
        found = self.db.connection.execute(_BEGIN, prepare=False)
        while found.nextset():
            pass
        [row] = found
        self._transaction = row["id"]

    def commit(self) -> bool:
        """Put the transaction on disk, and tell the other daemons of new events; return whether there may be some."""
        crash_points.reach("before_commit")
        may_have_events = True
        try:
            may_have_events = self.db.connection.execute(_COMMIT, prepare=False).rowcount > 0
        except psycopg.Error:
            if not self.db.connection.closed:
                raise
            self._was_aborted = not self._was_committed()
            if self._was_aborted:
                raise
        crash_points.reach("after_commit")
        return may_have_events

    def roll_back(self) -> None:
        """End the transaction, if there is one, without a trace."""
        try:
            self.db.connection.execute(b"ROLLBACK", prepare=False)
        except psycopg.Error:  # lost, or in a state in which psycopg sends nothing
            self.db.connection.close()

    def is_storage_fault(self, error: Exception) -> bool:
        """Return whether an error does not blame the statement."""
        return is_storage_fault(error)

    def may_run_again(self, error: Exception) -> bool:
        """Return whether the connection was lost, and with it, for certain, all of the transaction."""
        return self._was_aborted or (self._has_begun and is_storage_fault(error) and self.db.connection.closed)

    def unavailable(self, error: Exception) -> StorageUnavailable:
        """Return what the callers get."""
        return unavailable(error)

    def reopen(self) -> None:
        """Close the connection; `prepare` makes another."""
        self.db.connection.close()

    def after_batch(self, _functions: int) -> None:
        """Do nothing: PostgreSQL has processes of its own for that."""

    def close(self) -> None:
        """Close the connection."""
        self.db.connection.close()

    @property
    def process(self) -> int:
        """The id of the server's process, by which its notifications are known."""
        return self.db.connection.info.backend_pid

    def _connect(self) -> None:
        if self.db.connection.closed:
            self.db = connect_writer(self._dsn)

    def _was_committed(self) -> bool:
        """Return whether the transaction was committed whose connection was lost before the answer.

        Raises StorageUnavailable where this cannot be found out.
        """
        end = time.monotonic() + OUTCOME_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError):
                self._connect()
                [row] = self.db.execute("SELECT pg_xact_status(CAST(? AS xid8)) AS status", [self._transaction])
                if row["status"] in {"committed", "aborted"}:
                    return bool(row["status"] == "committed")
            time.sleep(_RETRY_SECONDS)
        raise StorageUnavailable("the connection was lost, and it is not known whether the last writes were stored")
