"""Jobs that a process owns and lost: a recovery or a take whose outcome is unknown leaves none running for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.ids import now_ms
from shared.models import RunnerJob, Status
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.recovery import Recovery
from stitcherd.queue.taking import TakingQueue
from stitcherd.store import daemons, interruptions, jobs, transitions
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.jobs.test_recovery import ALLOWED, no_rails, no_repository, running
from tests.stitcherd.store.factories import new_job
from tests.stitcherd.store.test_daemons import process
from tests.stores import open_store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


class Failing:
    """A store that fails once at one function: before it, or after what it did was stored."""

    def __init__(self, store: Store, function: Callable[..., Any], error: Exception, *, stored: bool) -> None:
        self.store, self.reading = store, store.reading
        self.function: Callable[..., Any] | None = function
        self.error, self.stored = error, stored

    async def write(self, function: Callable[..., Any], *args: Any) -> Any:
        fails = function is self.function
        if fails:
            self.function = None
        if not fails or self.stored:
            done = await self.store.write(function, *args)
        if fails:
            raise self.error
        return done


@asynccontextmanager
async def looking(store: Store, tmp_path: Path, queue: TakingQueue | None = None) -> AsyncIterator[TakingQueue]:
    """Let a process look for what is left and lost; where no queue is given, one that runs nothing."""
    lease = Lease(store, process(), 600.0)
    await lease.join()

    async def take_nothing() -> None: ...

    async def run_nothing(_job_id: str, _attempt: int) -> None: ...

    queue = queue or TakingQueue(0, take_nothing, run_nothing, asyncio.Event())
    new = lease.new
    recovery = Recovery(
        store,
        Checkouts(tmp_path),
        no_repository,
        no_rails,
        machine=new.machine,
        state_id=new.state_id,
        lease=lease.milliseconds,
    )
    looks = asyncio.create_task(recovery.run(lease, queue))
    try:
        yield queue
    finally:
        looks.cancel()
        await asyncio.wait({looks})


async def until_left(store: Store, job_id: str) -> RunnerJob:
    """Wait until a job does not run any more."""
    async with asyncio.timeout(20):
        while True:
            async with store.reading() as db:
                job = await jobs.get_job_detail(db, job_id, None)
            if job.status is not Status.RUNNING:
                return job
            await asyncio.sleep(0.01)


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.jobs.recovery.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("stitcherd.jobs.recovery.LONGEST_SECONDS", 0.02)


@pytest.mark.usefixtures("quick_looks")
@pytest.mark.parametrize("function", [interruptions.adopt, interruptions.take_over, interruptions.recover])
@pytest.mark.parametrize("error", [StorageUnavailable("away"), RuntimeError("a bug")])
@pytest.mark.parametrize("stored", [False, True])
async def test_a_recovery_that_failed_is_done_again(
    store: Store, tmp_path: Path, function: Callable[..., Any], error: Exception, stored: bool
) -> None:
    job = await running(store, on_interrupt="retry")
    async with looking(Failing(store, function, error, stored=stored), tmp_path):  # type: ignore[arg-type]
        after = await until_left(store, job.id)
    assert (after.status, after.attempt) == (Status.QUEUED, 2)


@pytest.mark.usefixtures("quick_looks")
async def test_a_job_is_recovered_of_which_the_queue_does_not_know_that_it_was_taken(
    store: Store, tmp_path: Path
) -> None:
    new = new_job()
    await store.write(jobs.dispatch, new, ALLOWED, now_ms())
    owner, started = "", asyncio.Event()

    async def take() -> None:
        if not started.is_set():
            assert await store.write(transitions.start, new.id, 1, owner, now_ms())
            started.set()
            raise StorageUnavailable("the answer was lost")

    async def run_nothing(_job_id: str, _attempt: int) -> None: ...

    queue = TakingQueue(1, take, run_nothing, asyncio.Event())
    async with looking(store, tmp_path, queue):
        async with store.reading() as db:
            owner = (await daemons.living_daemons(db))[0].id
        await queue.start()
        async with asyncio.timeout(20):
            await started.wait()
        after = await until_left(store, new.id)
        await queue.stop()
    assert (after.status, after.attempt) == (Status.QUEUED, 2)


@pytest.mark.usefixtures("quick_looks")
async def test_what_was_just_taken_or_runs_is_not_lost(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = new_job()
    await store.write(jobs.dispatch, new, ALLOWED, now_ms())
    looks, taken, owner = asyncio.Semaphore(0), 0, ""
    ended: asyncio.Future[Any] = asyncio.Future()
    read = daemons.own_jobs

    async def count_looks(*args: Any) -> list[daemons.LeftJob]:
        found = await read(*args)
        looks.release()
        return found

    async def take() -> tuple[str, int] | None:
        nonlocal taken
        taken += 1
        if taken > 1:
            return None
        await store.write(transitions.start, new.id, 1, owner, now_ms())
        await asyncio.sleep(0.1)  # it runs in the store, and looks begin
        return new.id, 1

    async def run(_job_id: str, _attempt: int) -> None:
        for _ in range(5):
            await looks.acquire()
        ended.set_result(await store.write(lambda db: transitions.find_job_row(db, new.id)))

    monkeypatch.setattr(daemons, "own_jobs", count_looks)
    queue = TakingQueue(1, take, run, asyncio.Event())
    async with looking(store, tmp_path, queue):
        async with store.reading() as db:
            owner = (await daemons.living_daemons(db))[0].id
        await queue.start()
        async with asyncio.timeout(20):
            row = await ended
        await queue.stop()
    assert (row["status"], row["attempt"], row["owner"]) == ("RUNNING", 1, owner)
