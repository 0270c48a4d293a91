"""What passes queued jobs to the runner; this package alone imports huey.

`messages` has a file with a message for each of the next jobs, for a store that one process uses; `taking` takes jobs
from the store, where several do.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Protocol

from shared.models import RunnerJob

# Huey imports each database driver that is installed. No store of Huey's in PostgreSQL is used here, so a daemon on
# SQLite need not wait for that driver; `store/postgres` imports it itself.
if "psycopg" not in sys.modules:
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # an import of it fails
    try:
        import huey.storage  # noqa: F401
    finally:
        del sys.modules["psycopg"]

QUEUE_NAME = "stitcher"
MAX_PRIORITY = 10

QueuedJob = tuple[str, int, int]  # id, attempt, priority
RunAttempt = Callable[[str, int], Awaitable[object]]


class JobQueue(Protocol):
    """Is told of the jobs that are queued."""

    def put(self, job_id: str, attempt: int, priority: int) -> None:
        """Queue an attempt and return at once; never fails."""
        ...

    def put_job(self, job: RunnerJob) -> None:
        """Queue the attempt that a job waits for."""
        ...
