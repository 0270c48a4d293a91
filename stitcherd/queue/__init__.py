"""What passes queued jobs to the runner; this package alone imports huey.

`messages` has a file with a message for each of the next jobs, for a store that one process uses; `taking` takes jobs
from the store, where several do.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from shared.models import RunnerJob

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
