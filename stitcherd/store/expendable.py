"""Which checkouts nobody needs, read from the SQLite file before it is opened: that may need their space."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from stitcherd.store.sqlite_connections import unavailable

_EXPENDABLE = (
    "SELECT id FROM jobs j WHERE status IN ('COMPLETED', 'FAILED', 'CANCELLED') OR status = 'RUNNING'"
    " AND NOT EXISTS (SELECT 1 FROM starts s WHERE s.job = j.key AND s.attempt = j.attempt"
    " AND s.reference IS NOT NULL)"
    " AND NOT EXISTS (SELECT 1 FROM publications p WHERE p.job = j.key AND p.attempt = j.attempt AND p.active = 1)"
    " ORDER BY status <> 'RUNNING', completed_at"
)


def read_expendable(path: Path, job_ids: Collection[str]) -> list[str]:
    """Return those of the jobs whose checkouts nobody needs, in the order in which to delete them.

    First the jobs that an earlier daemon left running, but for those whose run or publication may go on; then the ones
    that ended, oldest first. For a start without a running daemon on `path`: it reads on a full disk, too. Raises
    StorageUnavailable.
    """
    try:
        with closing(sqlite3.connect(path.as_uri() + "?mode=rw", uri=True, isolation_level=None)) as db:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")  # the index of the log is then in memory, not in a new file
            found = db.execute(_EXPENDABLE).fetchall()
    except sqlite3.Error as error:
        raise unavailable(error) from error
    return [job_id for (job_id,) in found if job_id in job_ids]
