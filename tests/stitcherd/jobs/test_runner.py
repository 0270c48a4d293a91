"""Jobs from their claim to their conclusion: how they end, and how they are cancelled."""

import asyncio
import errno
import re
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from shared.ids import now_ms
from shared.models import Failure, Status
from stitcherd.executors.base import INTERRUPTED, ExecutionResult, ExecutorUnavailable, OutputSink, Task
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs import runner as runner_module
from stitcherd.store import interruptions, steps, transitions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.errors import StorageUnavailable
from tests.stitcherd.jobs.runner_harness import RunnerHarness


def raising(error: Exception) -> Callable[[Task, OutputSink], Any]:
    async def work(_task: Task, _sink: OutputSink) -> ExecutionResult:
        raise error

    return work


def failing(code: str) -> Callable[[Task, OutputSink], Any]:
    async def work(_task: Task, _sink: OutputSink) -> ExecutionResult:
        return ExecutionResult(1, Failure(code, "it failed"))

    return work


async def test_a_job_that_succeeds_is_completed_and_its_checkout_removed(runners: RunnerHarness) -> None:
    job = await runners.run()
    assert (job.status, job.error) == (Status.COMPLETED, None)
    assert [task.job_id for task in runners.executor.tasks] == [job.id]
    assert not list((runners.state_dir / "checkouts").iterdir())
    assert runners.runner.running == 0


async def test_a_checkout_that_cannot_be_renamed_leaves_no_job_running(
    runners: RunnerHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_checkouts: Checkouts, job_id: str) -> str:
        raise OSError(errno.EIO, f"cannot rename {job_id}")

    monkeypatch.setattr(Checkouts, "move_aside", fail)
    job = await runners.run()
    assert (job.status, job.error) == (Status.COMPLETED, None)
    assert f"cannot rename {job.id}" in caplog.text
    assert not list((runners.state_dir / "checkouts").iterdir()), "it is deleted under its own name"


async def test_a_failed_executor_fails_the_job_and_its_checkout_is_kept(runners: RunnerHarness) -> None:
    runners.executor.work = failing("executor_failed")
    job = await runners.run()
    assert (job.status, job.error) == (Status.FAILED, Failure("executor_failed", "it failed"))
    assert (runners.state_dir / "checkouts" / job.id).is_dir()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("a bug"), "internal"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage_unavailable"),
        (StorageUnavailable("database or disk is full"), "storage_unavailable"),
        (OSError(errno.EMFILE, "Too many open files"), "storage_unavailable"),
        (OSError(errno.ECONNRESET, "reset"), "internal"),
    ],
)
async def test_an_unexpected_error_fails_the_job(runners: RunnerHarness, error: Exception, code: str) -> None:
    runners.executor.work = raising(error)
    job = await runners.run()
    assert job.error is not None
    assert (job.status, job.error.code) == (Status.FAILED, code)
    assert "a bug in Stitcher" in job.error.detail or error.args[-1] in job.error.detail


@pytest.mark.parametrize("more", [{"executor": "gone"}, {"rails_digest": "r0"}, {"type": "gone"}])
async def test_a_job_without_its_executor_rails_or_type_fails(runners: RunnerHarness, more: dict[str, str]) -> None:
    job = await runners.run(**more)
    assert job.error is not None
    assert (job.status, job.error.code) == (Status.FAILED, "rails_unavailable")
    assert re.search("gone|r0", job.error.detail)
    assert runners.executor.tasks == []


async def test_a_job_of_an_unreachable_executor_is_requeued_with_the_reason(runners: RunnerHarness) -> None:
    runners.executor.work = raising(ExecutorUnavailable("no route to host"))
    job_id = await runners.add()
    assert await runners.runner.run(job_id, 1) is False
    job = await runners.job(job_id)
    assert (job.status, job.attempt, job.held) == (Status.QUEUED, 2, "executor agent: no route to host")
    assert runners.unreachable == [("agent", "no route to host")]


@pytest.mark.parametrize(("on_interrupt", "status"), [("retry", Status.QUEUED), ("fail", Status.FAILED)])
async def test_a_job_whose_run_was_lost_follows_its_type(
    runners: RunnerHarness, on_interrupt: str, status: Status
) -> None:
    runners.executor.work = failing(INTERRUPTED)
    job_id = await runners.add(on_interrupt=on_interrupt)
    assert await runners.runner.run(job_id, 1) is (status is Status.FAILED)
    assert (await runners.job(job_id)).status is status


async def test_a_job_beyond_a_limit_is_held(runners: RunnerHarness) -> None:
    _, running = await runners.start()
    runners.limits = replace(runners.limits, total=1)
    held = await runners.add()
    assert await runners.runner.run(held, 1) is False
    assert (await runners.job(held)).status is Status.QUEUED
    running.cancel()
    assert await running


async def test_a_stale_message_runs_nothing(runners: RunnerHarness) -> None:
    job = await runners.run()
    for attempt in (1, 2):
        assert await runners.runner.run(job.id, attempt)
    assert len(runners.executor.tasks) == 1


async def test_a_running_job_can_be_cancelled_once(runners: RunnerHarness) -> None:
    job_id, running = await runners.start()
    assert runners.runner.running == 1
    await runners.store.write(transitions.cancel, job_id, "uid:0", None, now_ms())
    runners.runner.cancel(job_id)
    runners.runner.cancel(job_id)
    assert await running
    job = await runners.job(job_id)
    assert (job.status, runners.runner.running) == (Status.CANCELLED, 0)
    runners.runner.cancel(job_id)


async def test_a_retry_waits_until_the_earlier_attempt_has_cleaned_up(runners: RunnerHarness) -> None:
    job_id, running = await runners.start()
    later = asyncio.create_task(runners.runner.run(job_id, 2))
    await asyncio.sleep(0.05)
    assert not later.done()
    running.cancel()
    assert await running
    assert await later


async def test_a_superseded_job_is_not_concluded(runners: RunnerHarness) -> None:
    async def lose(task: Task, sink: OutputSink) -> ExecutionResult:
        await runners.store.write(interruptions.recover, task.job_id, (1, "me"), now_ms())
        await sink.record_event("ai.tool_called", {})
        raise AssertionError

    runners.executor.work = lose
    job = await runners.run(on_interrupt="retry")
    assert (job.status, job.attempt) == (Status.QUEUED, 2)


async def test_an_outcome_is_stored_again_while_storage_is_unavailable(
    runners: RunnerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "STORE_RETRY_SECONDS", 0.0)
    failures = 3

    async def unavailable(writes: DeferredWrites, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal failures
        if function is transitions.conclude and failures:
            failures -= 1
            raise StorageUnavailable("database or disk is full")
        return await write(writes, function, *args, **kwargs)

    write = DeferredWrites.write
    monkeypatch.setattr(DeferredWrites, "write", unavailable)
    assert (await runners.run()).status is Status.COMPLETED
    assert failures == 0


@pytest.mark.parametrize(("failing_write", "status"), [(True, Status.QUEUED), (False, Status.FAILED)])
async def test_a_job_whose_start_could_not_be_stored_is_queued_again(
    runners: RunnerHarness, monkeypatch: pytest.MonkeyPatch, failing_write: bool, status: Status
) -> None:
    """Nothing of it was started: only a job whose executor was started fails for an outage of the storage."""
    write = DeferredWrites.write

    async def unavailable(writes: DeferredWrites, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if failing_write and function is steps.open_step:
            raise StorageUnavailable("database or disk is full")
        return await write(writes, function, *args, **kwargs)

    monkeypatch.setattr(DeferredWrites, "write", unavailable)
    if not failing_write:
        runners.executor.work = raising(StorageUnavailable("database or disk is full"))
    job_id = await runners.add()
    assert await runners.runner.run(job_id, 1) is (status is Status.FAILED)
    job = await runners.job(job_id)
    assert job.status is status
    if failing_write:
        assert (job.attempt, job.held, runners.executor.tasks) == (2, interruptions.NOT_STORED, [])


@pytest.mark.parametrize("place", ["checkout", "prompt"])
async def test_a_job_that_may_open_no_files_before_its_executor_starts_waits(
    runners: RunnerHarness, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    async def open_checkout(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def keep_prompt(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async def record(task: Task, sink: OutputSink) -> ExecutionResult:
        sink.record_prompt(task.prompt)
        return ExecutionResult(0)

    if place == "checkout":
        monkeypatch.setattr(Checkouts, "open", open_checkout)
    else:
        monkeypatch.setattr("stitcherd.jobs.step_recorder.append_prompt", keep_prompt)
        runners.executor.work = record
    job_id = await runners.add()
    assert await runners.runner.run(job_id, 1) is False
    job = await runners.job(job_id)
    assert (job.status, job.attempt) == (Status.QUEUED, 2)
    assert job.held is not None
    assert "Too many open files" in job.held


async def test_the_checkout_of_a_job_that_could_not_be_stored_is_deleted(runners: RunnerHarness) -> None:
    runners.executor.work = raising(OSError(errno.ENOSPC, "No space left on device"))
    job = await runners.run()
    assert job.status is Status.FAILED
    assert not (runners.state_dir / "checkouts" / job.id).exists()


async def test_a_failed_checkout_is_deleted_before_the_end_is_stored_on_a_full_disk(
    runners: RunnerHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "STORE_RETRY_SECONDS", 0.0)
    write = DeferredWrites.write

    async def full(writes: DeferredWrites, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function is transitions.conclude and any((runners.state_dir / "checkouts").iterdir()):
            raise StorageUnavailable("database or disk is full", lacks_space=True)
        return await write(writes, function, *args, **kwargs)

    monkeypatch.setattr(DeferredWrites, "write", full)
    runners.executor.work = failing("executor_failed")
    assert (await runners.run()).error == Failure("executor_failed", "it failed")


async def test_stop_leaves_interrupted_jobs_to_the_next_daemon(runners: RunnerHarness) -> None:
    job_id, running = await runners.start()
    await runners.runner.stop(0.01)
    assert await running
    assert runners.executor.detached
    assert (await runners.job(job_id)).status is Status.RUNNING
    assert await runners.runner.run(await runners.add(), 1)
    assert len(runners.executor.tasks) == 1, "nothing more is started"
