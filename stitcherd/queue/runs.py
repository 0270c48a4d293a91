"""The runs of a queue: of which jobs they are, and which of them a bug has ended."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from shared.models import Failure
from stitcherd.errors import internal_failure
from stitcherd.queue import RunAttempt
from stitcherd.store.errors import StorageUnavailable


class Runs:
    """Runs attempts of jobs with `run`.

    `starting` is held while a job begins to run in the store, or in this process. `failures` has why a run was ended
    by a bug, by id and attempt, from then until that is run again: its job is recovered, and has to end so.
    """

    def __init__(self, run: RunAttempt) -> None:
        self.starting = asyncio.Lock()
        self.failures: dict[tuple[str, int], Failure] = {}
        self._run = run
        self._own: list[tuple[str, int]] = []

    def add(self, job_id: str, attempt: int) -> None:
        """Note that an attempt runs here, or is about to."""
        self._own.append((job_id, attempt))

    def discard(self, job_id: str, attempt: int) -> None:
        """Note that an attempt that was added is not run here."""
        self._own.remove((job_id, attempt))

    async def run(self, job_id: str, attempt: int) -> None:
        """Run an attempt that was added; raises StorageUnavailable."""
        self.failures.pop((job_id, attempt), None)
        try:
            await self._run(job_id, attempt)
        except StorageUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 (it is logged, and recovery ends the job)
            self.failures[job_id, attempt] = internal_failure(job_id, error)
        finally:
            self.discard(job_id, attempt)

    @contextlib.asynccontextmanager
    async def holding_starts(self) -> AsyncIterator[frozenset[str]]:
        """Let no job be started meanwhile; yield the ids of all that run here, or are about to."""
        async with self.starting:
            yield frozenset(job_id for job_id, _ in self._own)
