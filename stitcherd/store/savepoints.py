"""A part of a transaction that is undone if it raises something, in any database."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stitcherd.store.after_commit import forget_calls, waiting_calls
from stitcherd.store.db import Db
from stitcherd.store.errors import Conflict


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
