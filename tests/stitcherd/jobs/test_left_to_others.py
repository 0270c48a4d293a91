"""Jobs left to who can do more about them: end the run at its executor, or ask whether a commit has arrived."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.ids import now_ms
from shared.models import Result, RunnerJob, Status
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.recovery import Recovery
from stitcherd.store import publications, transitions
from stitcherd.store.db import Db
from stitcherd.store.steps import Fence
from stitcherd.store.store import Store
from tests.stitcherd.jobs.runner_harness import ScriptedExecutor
from tests.stitcherd.jobs.test_recovery import get_detail, no_rails, no_repository, running
from tests.stitcherd.store.test_daemons import LEASE, end, join
from tests.stores import open_store

GONE = "an earlier daemon"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


async def recover(store: Store, tmp_path: Path, owner: str, executors: dict[str, ScriptedExecutor]) -> None:
    """Recover as a process that has some executors and no repository."""
    place = Checkouts(tmp_path)
    recovery = Recovery(
        store, place, no_repository, no_rails, machine="here", state_id="state of me", lease=LEASE, executors=executors
    )
    assert await recovery.recover(owner) == []


async def leave(store: Store, *, publishing: bool) -> RunnerJob:
    """Return a job that a machine which is gone was publishing, or whose run may go on at its executor."""
    gone = await join(store, "gone", machine="there", id=GONE)
    job = await running(store, resumable=not publishing, on_interrupt="retry")

    def publish(db: Db) -> None:
        fence = Fence(job.id, transitions.find_job_row(db, job.id)["key"], "default", 1, GONE)
        assert publications.begin_publication(db, fence, Result("c" * 40, 1, 2, 3, ""), now_ms(), "r1")

    if publishing:
        await store.write(publish)
    await end(store, gone)
    return job


async def owner_of(store: Store, job: RunnerJob) -> str:
    return str(await store.write(lambda db: transitions.find_job_row(db, job.id)["owner"]))


@pytest.mark.parametrize(("publishing", "status"), [(False, Status.QUEUED), (True, Status.FAILED)])
async def test_who_lacks_something_waits_for_a_further_lease(
    store: Store, tmp_path: Path, publishing: bool, status: Status
) -> None:
    job, me = await leave(store, publishing=publishing), await join(store, "me")
    await join(store, "other")
    await recover(store, tmp_path, me.id, {})
    assert ((await get_detail(store, job)).status, await owner_of(store, job)) == (Status.RUNNING, GONE)
    await store.write(lambda db: db.execute("UPDATE daemons SET until = until - ? WHERE gone = 1", (2 * LEASE,)))
    await recover(store, tmp_path, me.id, {})
    assert (await get_detail(store, job)).status is status


@pytest.mark.parametrize("publishing", [False, True])
async def test_who_is_alone_waits_for_nobody(store: Store, tmp_path: Path, publishing: bool) -> None:
    job, me = await leave(store, publishing=publishing), await join(store, "me")
    await recover(store, tmp_path, me.id, {})
    assert (await get_detail(store, job)).status is not Status.RUNNING


async def test_who_has_the_executor_ends_the_run_at_once(store: Store, tmp_path: Path) -> None:
    job, me = await leave(store, publishing=False), await join(store, "me")
    await join(store, "other")
    executor = ScriptedExecutor()
    await recover(store, tmp_path, me.id, {job.executor: executor})
    assert executor.terminated == [{"key": "a session"}]
    assert (await get_detail(store, job)).status is Status.QUEUED
