"""Recovery after a crash: processes are ended, and each job is resumed, requeued or concluded as its type says."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path

import pytest
from msgspec import structs

from shared.ids import new_id, now_ms
from shared.models import Decision, Failure, Phase, RunnerJob, Status, StepStatus, StepType, Verdict
from stitcherd import processes
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.recovery import Recovery
from stitcherd.processes.tree import find_job_processes
from stitcherd.rails.compiled import CompiledRails
from stitcherd.store import interruptions, jobs, retries, steps, transitions
from stitcherd.store.store import Store
from tests.stitcherd.jobs.runner_harness import ScriptedExecutor
from tests.stitcherd.store.factories import new_job
from tests.stores import open_store

ALLOWED = Decision(Verdict.ALLOWED, "", "r1")
SLEEP = "import time; print(flush=True); time.sleep(600)"
FORKS = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"


def no_repository(_name: str) -> None:
    """Find no repository: the jobs here have none."""


async def no_rails(_digest: str) -> CompiledRails:
    """Find no rails: the jobs here have nothing to publish."""
    raise LookupError


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


@pytest.fixture
def left_behind() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of an earlier daemon; those that recovery leaves running are ended here."""
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def start(job: RunnerJob, cwd: Path, code: str = SLEEP, *, marked: bool = True) -> subprocess.Popen[bytes]:
    env = processes.build_environment(os.environ, job_id=job.id if marked else "", attempt=1, number=1, tmp=cwd)
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=cwd, env=env, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout
    process.stdout.readline()  # it is running now
    return process


async def find_taken_over(
    store: Store, job_id: str, attempt: int, owner: str
) -> tuple[steps.Claimed, interruptions.ResumableTry] | None:
    async with store.reading() as db:
        return await interruptions.find_taken_over(db, job_id, attempt, owner)


async def running(
    store: Store,
    *,
    on_interrupt: str = "fail",
    started: bool = True,
    resumable: bool = False,
    reference: bool = False,
    ended: bool = False,
) -> RunnerJob:
    """Return a job during its first try; `resumable` it has a `reference`, and its executor may have `ended`."""
    new = new_job(on_interrupt=on_interrupt)
    await store.write(jobs.dispatch, new, ALLOWED, now_ms())
    claimed = await store.write(transitions.start, new.id, 1, "an earlier daemon", now_ms())
    assert claimed
    job, fence = claimed
    if started:
        await store.write(steps.begin_try, fence, 1, now_ms(), steps.TryStart("a" * 40, resumable))
    if resumable or reference:
        await store.write(steps.save_reference, fence, 1, {"key": "a session"})
    step = await store.write(
        steps.open_step,
        fence,
        now_ms(),
        phase=Phase.EXECUTION,
        type_=StepType.AI_ACTION,
        name="agent",
        number=1,
    )
    if ended:
        over = partial(
            steps.close_step, status=StepStatus.COMPLETED, exit_code=0, output="", output_bytes=0, reason=None
        )
        await store.write(over, fence, step, now_ms())
    return job


async def recover(store: Store, checkouts: Checkouts) -> list[tuple[str, int, int]]:
    return await Recovery(store, checkouts, no_repository, no_rails).recover("me")


async def get_detail(store: Store, job: RunnerJob) -> RunnerJob:
    async with store.reading() as db:
        return await jobs.get_job_detail(db, job.id, None)


async def test_processes_are_ended_before_their_job_is_requeued(
    store: Store, tmp_path: Path, left_behind: list[subprocess.Popen[bytes]]
) -> None:
    checkouts = Checkouts(tmp_path)
    job, other = await running(store, on_interrupt="retry"), await running(store, on_interrupt="retry")
    work = checkouts.directory(job.id) / "1" / "work"
    work.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    by_mark = start(job, tmp_path / "elsewhere")
    by_directory = start(job, work, marked=False)
    parent = start(job, work, FORKS)
    unrelated = start(structs.replace(job, id=new_id()), tmp_path)
    left_behind += [by_mark, by_directory, parent, unrelated]
    waiting = [asyncio.create_task(asyncio.to_thread(each.wait, 20)) for each in (by_mark, by_directory, parent)]
    assert await recover(store, checkouts) == []
    await asyncio.gather(*waiting)
    assert find_job_processes(job.id, checkouts.directory(job.id)) == []
    assert unrelated.poll() is None
    for each in (job, other):
        after = await get_detail(store, each)
        assert (after.status, after.attempt) == (Status.QUEUED, 2)
    async with store.reading() as db:
        assert [(name, attempt) for name, attempt, _ in await jobs.next_jobs(db, 100)] == [(job.id, 2), (other.id, 2)]


@pytest.mark.parametrize(
    ("started", "on_interrupt", "cancelled", "status"),
    [
        (False, "fail", False, Status.QUEUED),
        (True, "retry", False, Status.QUEUED),
        (True, "fail", False, Status.FAILED),
        (True, "fail", True, Status.CANCELLED),
    ],
)
async def test_an_interrupted_job_follows_its_type(
    store: Store, tmp_path: Path, started: bool, on_interrupt: str, cancelled: bool, status: Status
) -> None:
    job = await running(store, on_interrupt=on_interrupt, started=started)
    if cancelled:
        await store.write(transitions.cancel, job.id, "uid:1000", None, now_ms())
    assert await recover(store, Checkouts(tmp_path)) == []
    after = await get_detail(store, job)
    assert after.status is status
    assert isinstance(after.steps, tuple)
    assert [step.status for step in after.steps] == [StepStatus.FAILED]
    assert await recover(store, Checkouts(tmp_path)) == []
    assert await get_detail(store, job) == after, "a second recovery changes nothing"


async def test_jobs_that_do_not_run_are_not_changed(store: Store, tmp_path: Path) -> None:
    job = await running(store)
    await store.write(transitions.cancel, job.id, "uid:0", None, now_ms())
    await store.write(interruptions.recover, job.id, (1, "an earlier daemon"), now_ms())
    await store.write(retries.retry, job.id, "uid:0", now_ms())
    before = await get_detail(store, job)
    assert await recover(store, Checkouts(tmp_path)) == []
    assert await get_detail(store, job) == before


async def test_a_resumable_try_is_taken_over(store: Store, tmp_path: Path) -> None:
    job = await running(store, resumable=True)
    assert await recover(store, Checkouts(tmp_path)) == [(job.id, 1, 10)]
    after = await get_detail(store, job)
    assert (after.status, after.attempt, after.last_event) == (Status.RUNNING, 1, "job.recovered")
    taken = await find_taken_over(store, job.id, 1, "me")
    assert taken
    fence, resumable = taken[0].fence, taken[1]
    assert (fence.owner, fence.attempt) == ("me", 1)
    assert resumable == interruptions.ResumableTry(1, {"key": "a session"}, "a" * 40, ended=False)
    assert await find_taken_over(store, job.id, 1, "an earlier daemon") is None
    assert await find_taken_over(store, job.id, 2, "me") is None
    await store.write(steps.record_event, fence, "ai.tool_called", now_ms(), None, {})  # its runner may write


async def test_a_run_is_ended_where_no_job_is_run(store: Store, tmp_path: Path) -> None:
    job = await running(store, resumable=True, on_interrupt="retry")
    executor = ScriptedExecutor()
    executors = {job.executor: executor}
    recovery = Recovery(store, Checkouts(tmp_path), no_repository, no_rails, runs_jobs=False, executors=executors)
    assert await recovery.recover("me") == []
    assert executor.terminated == [{"key": "a session"}]
    after = await get_detail(store, job)
    assert (after.status, after.attempt) == (Status.QUEUED, 2)


async def test_the_reference_of_a_session_does_not_make_a_try_resumable(store: Store, tmp_path: Path) -> None:
    job = await running(store, reference=True)
    assert await recover(store, Checkouts(tmp_path)) == []
    assert (await get_detail(store, job)).status is Status.FAILED


@pytest.mark.parametrize("ended", [False, True])
async def test_processes_in_the_checkout_are_ended_unless_the_run_may_go_on(
    store: Store, tmp_path: Path, left_behind: list[subprocess.Popen[bytes]], ended: bool
) -> None:
    checkouts = Checkouts(tmp_path)
    job = await running(store, resumable=True, ended=ended)
    work = checkouts.directory(job.id) / "1" / "work"
    work.mkdir(parents=True)
    child = start(job, work, marked=False)
    left_behind.append(child)
    waiting = asyncio.create_task(asyncio.to_thread(child.wait, 20)) if ended else None
    assert len(await recover(store, checkouts)) == 1
    if waiting:
        await waiting
    assert (child.poll() is not None) == ended


async def test_a_lost_run_follows_its_type(store: Store, tmp_path: Path) -> None:
    lost = Failure("interrupted", "the gateway does not know it")
    for on_interrupt, status in (("fail", Status.FAILED), ("retry", Status.QUEUED)):
        job = await running(store, resumable=True, on_interrupt=on_interrupt)
        await recover(store, Checkouts(tmp_path))
        assert await store.write(interruptions.interrupt, job.id, (1, "somebody else"), now_ms(), lost) is None
        assert await store.write(interruptions.interrupt, job.id, (1, "me"), now_ms(), lost) is status
        after = await get_detail(store, job)
        assert (after.error == lost) == (status is Status.FAILED)
        assert (after.held is not None) == (status is Status.QUEUED), "it is found among the held jobs"


async def test_a_requeued_job_has_the_reason_it_is_held_for(store: Store, tmp_path: Path) -> None:
    job = await running(store, started=False)
    owner = (1, "an earlier daemon")
    assert await store.write(interruptions.requeue, job.id, owner, now_ms(), "executor claw: gone") is Status.QUEUED
    after = await get_detail(store, job)
    assert (after.attempt, after.held, after.error) == (2, "executor claw: gone", None)
    other = await running(store)
    await store.write(transitions.cancel, other.id, "uid:1000", None, now_ms())
    assert await store.write(interruptions.requeue, other.id, owner, now_ms(), "gone") is Status.CANCELLED


@pytest.mark.parametrize("resumable", [False, True])
async def test_without_a_reference_a_resumable_executor_never_started(
    store: Store, tmp_path: Path, resumable: bool
) -> None:
    job = await running(store, started=False)
    await store.write(
        lambda db: steps.begin_try(
            db,
            steps.Fence(job.id, transitions.find_job_row(db, job.id)["key"], "default", 1, "an earlier daemon"),
            1,
            now_ms(),
            steps.TryStart(resumable=resumable),
        )
    )
    assert await recover(store, Checkouts(tmp_path)) == []
    assert (await get_detail(store, job)).status is (Status.QUEUED if resumable else Status.FAILED)
