"""Exceptions that escape a run: its job ends, or is started again, without a restart, whatever the store is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.ids import now_ms
from shared.models import Decision, RunnerJob, Status, Verdict
from stitcherd.execution import build_execution
from stitcherd.forges.connections import ForgeConnections
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs import scheduler
from stitcherd.jobs.attempt import CommitNeedsApproval, CommitNotPublished
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.runner import Runner
from stitcherd.store import jobs, scheduling, transitions
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from stitcherd.supervision import Supervision, running_parts
from tests import stores
from tests.stitcherd.jobs.intake_harness import SETTINGS, open_harness
from tests.stitcherd.store.factories import new_job
from tests.stitcherd.store.test_daemons import process
from tests.stores import settings_table


class Raising:
    """Raises an exception at each of its first calls, and counts them all."""

    def __init__(self, error: Exception, times: int = 1_000_000) -> None:
        self.error, self.times, self.calls = error, times, 0

    def __call__(self, *_args: Any, **_named: Any) -> Any:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error

    async def call(self, *_args: Any, **_named: Any) -> Any:
        return self()


@asynccontextmanager
async def running(directory: Path, decide_again: Any = None) -> AsyncIterator["Running"]:
    """Run jobs with all that runs them in a daemon."""
    async with AsyncExitStack() as stack:
        table = settings_table(directory).replace("{", "{{").replace("}", "}}")
        intake = await stack.enter_async_context(open_harness(directory, settings_text=SETTINGS + table))
        shared = intake.settings.store.is_shared
        lease = Lease(intake.store, process(), 600.0 if shared else None)
        await lease.join()
        forges = ForgeConnections(intake.settings)
        stack.push_async_callback(forges.close)
        execution = build_execution(intake.store, intake.settings, intake.rails, forges, lease, decide_again)
        await stack.enter_async_context(execution.health.running())
        await execution.health.wait_until_checked()
        await execution.queue.start()
        stack.push_async_callback(execution.queue.stop)
        supervision = Supervision(StorageUnavailable)
        await stack.enter_async_context(running_parts(supervision, execution.lasting_parts | execution.parts))
        current = intake.rails.current
        assert current
        yield Running(intake.store, execution.queue.put, current.digest)


class Running:
    """The jobs that run."""

    def __init__(self, store: Store, put: Callable[[str, int, int], None], digest: str) -> None:
        self.store, self.digest = store, digest
        self._put = put

    async def run(self, condition: Callable[[RunnerJob], bool], decided_under: str | None = None) -> RunnerJob:
        """Run a new job until a condition holds; return it."""
        new = new_job(rails_digest=self.digest, on_interrupt="retry")
        await self.store.write(
            jobs.dispatch, new, Decision(Verdict.ALLOWED, "", decided_under or self.digest), now_ms()
        )
        if decided_under:
            sql = "UPDATE jobs SET decided_under = ? WHERE id = ?"
            await self.store.write(lambda db: db.execute(sql, (decided_under, new.id)) and None)
        self._put(new.id, 1, 5)
        async with asyncio.timeout(30):
            while True:
                async with self.store.reading() as db:
                    job = await jobs.get_job_detail(db, new.id, None)
                if condition(job):
                    return job
                await asyncio.sleep(0.01)


def has_ended(job: RunnerJob) -> bool:
    return job.status in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.jobs.recovery.LOOK_SECONDS", 0.01)
    monkeypatch.setattr("stitcherd.jobs.recovery.LONGEST_SECONDS", 0.02)
    monkeypatch.setattr("stitcherd.queue.messages.HEALTH_CHECK_SECONDS", 0.02)
    monkeypatch.setattr("stitcherd.queue.taking.LOOK_SECONDS", 0.02)


async def test_a_bug_that_escapes_a_run_each_time_ends_the_job_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its type would start it again if it were interrupted."""
    raising = Raising(RuntimeError("a bug"))
    monkeypatch.setattr(Checkouts, "move_aside", raising)
    async with running(tmp_path) as jobs_here:
        job = await jobs_here.run(has_ended)
    assert (job.status, job.attempt, raising.calls) == (Status.FAILED, 1, 1)
    assert job.error is not None
    assert job.error.code == "internal"
    assert job.error.detail.split()[-1] in caplog.text


async def test_a_bug_before_the_executor_started_ends_the_job_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising = Raising(RuntimeError("a bug"))
    monkeypatch.setattr(Runner, "_run_attempt", Raising(RuntimeError("the first")).call)
    monkeypatch.setattr(Runner, "_fail", raising.call)
    async with running(tmp_path) as jobs_here:
        job = await jobs_here.run(has_ended)
    assert (job.status, job.attempt, raising.calls) == (Status.FAILED, 1, 1)


async def test_storage_that_is_unavailable_lets_the_job_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raising = Raising(StorageUnavailable("away"), times=1)
    moved = Checkouts.move_aside

    def move_aside(checkouts: Checkouts, job_id: str) -> Any:
        raising()
        return moved(checkouts, job_id)

    monkeypatch.setattr(Checkouts, "move_aside", move_aside)
    async with running(tmp_path) as jobs_here:
        job = await jobs_here.run(has_ended)
    assert (job.status, job.attempt, raising.calls) == (Status.COMPLETED, 2, 2)


async def test_a_cancel_wins_over_a_bug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(runner: Runner, job_id: str, *_: Any) -> bool:
        await runner._store.write(scheduling.claim, job_id, 1, runner.owner, now_ms(), runner._current_limits())
        await runner._store.write(transitions.cancel, job_id, "uid:0", None, now_ms())
        raise RuntimeError("a bug")

    monkeypatch.setattr(Runner, "run", cancelled)
    async with running(tmp_path) as jobs_here:
        assert (await jobs_here.run(has_ended)).status is Status.CANCELLED


@pytest.mark.parametrize("cause", [CommitNeedsApproval(("tests",), "c" * 40, None), CommitNotPublished("c" * 40, None)])
async def test_a_commit_whose_rails_are_gone_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    monkeypatch.setattr(Runner, "_run_attempt", Raising(cause).call)
    monkeypatch.setattr("stitcherd.rails.live.LiveRails.at", Raising(LookupError("rails r-1")).call)
    async with running(tmp_path) as jobs_here:
        job = await jobs_here.run(has_ended)
    assert job.error is not None
    assert (job.status, job.attempt, job.error.code) == (Status.FAILED, 1, "rails_unavailable")
    assert "c" * 40 in job.error.detail


@pytest.mark.skipif(stores.kind == "postgres", reason="there the leader decides jobs again, and nobody starts them")
async def test_a_job_that_a_bug_keeps_from_being_started_is_held_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "HELD_FOR_MS", 10)
    monkeypatch.setattr(scheduler, "POLL_SECONDS", 0.01)
    raising = Raising(RuntimeError("a bug"))
    async with running(tmp_path, raising.call) as jobs_here:
        job = await jobs_here.run(lambda _: raising.calls >= 3, decided_under="other rails")
        assert (job.status, job.attempt, job.held) == (Status.QUEUED, 1, scheduler.NOT_STARTED)
