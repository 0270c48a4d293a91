"""Cancel and retry on a real store and queue: one job, and all that match a filter."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET, structs

from shared.api import BulkResult
from shared.filters import parse_filter
from shared.ids import new_id, now_ms
from shared.models import Decision, Result, RunnerJob, Status, Thread, Verdict
from stitcherd.errors import Refusal
from stitcherd.jobs import commands as commands_module
from stitcherd.jobs.commands import JobCommands
from stitcherd.queue.messages import Queue
from stitcherd.store import jobs, publications, transitions
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import new_job
from tests.stores import open_store

DECISION = Decision(Verdict.ALLOWED, "by hand", "r-1")
NEW = new_job(repository="octo-org/api", tries_max=1, rails_digest="r1")


class CommandsHarness:
    """Job commands on a store, with a queue that is not started; `interrupted` are the jobs given to the runner."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self.store = store
        self.queue = queue
        self.interrupted: list[str] = []
        self.current = None
        self.commands = JobCommands(store, queue, self, self)  # type: ignore[arg-type]  # it needs only these two

    def cancel(self, job_id: str) -> None:
        self.interrupted.append(job_id)

    async def add(self, status: Status = Status.QUEUED, **more: Any) -> str:
        job = structs.replace(NEW, id=new_id(), **more)
        await self.store.write(jobs.dispatch, job, DECISION, now_ms())
        if status in {Status.RUNNING, Status.COMPLETED}:
            await self.store.write(transitions.start, job.id, 1, "me", now_ms())
        if status is Status.COMPLETED:
            done = Result(None, 0, 0, 0, "")
            await self.store.write(transitions.conclude, job.id, (1, "me"), now_ms(), done)
        if status is Status.CANCELLED:
            await self.store.write(transitions.cancel, job.id, "uid:0", None, now_ms())
        return job.id

    async def job(self, job_id: str) -> RunnerJob:
        async with self.store.reading() as db:
            return await jobs.get_job(db, job_id, None)

    async def queued(self) -> int:
        await asyncio.sleep(0)  # until what was put is handed over
        await asyncio.get_running_loop().run_in_executor(self.queue._feeder, int)
        return int(self.queue._huey.pending_count())


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[CommandsHarness]:
    async def never(_job_id: str, _attempt: int) -> None:
        raise AssertionError

    store = await open_store(tmp_path / "stitcher.db")
    queue = Queue(tmp_path / "queue.db", 1, never)
    yield CommandsHarness(store, queue)
    queue._feeder.shutdown()
    queue._huey.storage.close()
    await store.close()


def results(result: BulkResult) -> list[tuple[str, bool, Status, Any]]:
    assert result.matched == len(result.items)
    return [(item.id, item.ok, item.status, item.code) for item in result.items]


async def test_cancel_and_retry(harness: CommandsHarness) -> None:
    job_id = await harness.add()
    assert (await harness.commands.cancel(job_id, "uid:0", "enough")).status is Status.CANCELLED
    assert harness.interrupted[-1] == job_id
    assert (await harness.commands.retry(job_id, "uid:0")).attempt == 2
    assert await harness.queued() == 1
    with pytest.raises(Refusal) as refused:
        await harness.commands.retry(job_id, "uid:0")
    assert refused.value.code == "not_retryable"
    assert await harness.queued() == 1


async def test_bulk_cancel_returns_the_result_of_each_job(harness: CommandsHarness) -> None:
    queued, running, completed = [
        await harness.add(status) for status in (Status.QUEUED, Status.RUNNING, Status.COMPLETED)
    ]
    await harness.add(workspace="lab")
    await harness.add(type="review")
    result = await harness.commands.apply_bulk("cancel", parse_filter("type:fix"), "default", "token:ci")
    assert results(result) == [
        (queued, True, "CANCELLED", UNSET),
        (running, True, "RUNNING", UNSET),
        (completed, False, "COMPLETED", "not_cancellable"),
    ]
    assert (await harness.job(running)).cancel_requested
    assert running in harness.interrupted
    assert completed not in harness.interrupted
    async with harness.store.reading() as db:
        last = (await jobs.get_job_detail(db, queued, None)).events
    assert isinstance(last, tuple)
    assert (last[-1].type, last[-1].actor) == ("job.cancelled", "token:ci")


async def test_bulk_retry_queues_jobs_and_returns_the_refusals(harness: CommandsHarness) -> None:
    thread = Thread("issue", 7)
    over, blocked = await harness.add(Status.CANCELLED), await harness.add(Status.CANCELLED, thread=thread)
    waiting = await harness.add(thread=thread)
    result = await harness.commands.apply_bulk("retry", parse_filter("repo:octo-org/*"), None, "uid:0")
    assert results(result) == [
        (over, True, "QUEUED", UNSET),
        (blocked, False, "CANCELLED", "conflict"),
        (waiting, False, "QUEUED", "not_retryable"),
    ]
    assert (await harness.job(over)).attempt == 2
    assert await harness.queued() == 1


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_a_preview_changes_nothing(harness: CommandsHarness, action: commands_module.BulkAction) -> None:
    ids = [await harness.add(status) for status in (Status.QUEUED, Status.CANCELLED, Status.COMPLETED)]
    before = [await harness.job(job_id) for job_id in ids]
    result = await harness.commands.preview_bulk(action, parse_filter("type:fix"), None)
    assert [item.ok for item in result.items] == [action == "cancel", action == "retry", False]
    assert result.items[2].code == commands_module.BULK_STATUSES[action][1]
    assert [await harness.job(job_id) for job_id in ids] == before
    assert (harness.interrupted, await harness.queued()) == ([], 0)


async def test_a_preview_says_of_a_job_that_is_being_published_what_the_cancel_would(harness: CommandsHarness) -> None:
    job_id = await harness.add()
    started = await harness.store.write(transitions.start, job_id, 1, "me", now_ms())
    assert started
    await harness.store.write(publications.begin_publication, started[1], Result("c" * 40, 1, 2, 3, ""), now_ms(), "r1")
    preview = await harness.commands.preview_bulk("cancel", parse_filter("type:fix"), None)
    assert results(preview) == [(job_id, False, "RUNNING", "not_cancellable")]
    assert results(await _cancel_all(harness.commands)) == results(preview)


async def test_only_jobs_that_match_at_the_beginning_are_changed(harness: CommandsHarness, monkeypatch: Any) -> None:
    monkeypatch.setattr(commands_module, "BULK_CHUNK", 2)
    chosen = [await harness.add() for _ in range(7)]
    each = commands_module._apply_to_each
    late: list[str] = []

    def meanwhile(db: Any, move: Any, job_ids: list[str]) -> Any:
        late.append(structs.replace(NEW, id=new_id()).id)
        jobs.dispatch(db, structs.replace(NEW, id=late[-1]), DECISION, now_ms())
        return each(db, move, job_ids)

    monkeypatch.setattr(commands_module, "_apply_to_each", meanwhile)
    result = await harness.commands.apply_bulk("cancel", parse_filter("state:queued"), None, "uid:0")
    assert [item.id for item in result.items] == chosen
    assert len(late) == 4
    assert {(await harness.job(job_id)).status for job_id in late} == {Status.QUEUED}


async def test_other_writers_are_served_between_two_chunks(harness: CommandsHarness) -> None:
    for _ in range(3 * commands_module.BULK_CHUNK):
        harness.store._writer.submit(jobs.dispatch, structs.replace(NEW, id=new_id()), DECISION, now_ms())
    await harness.add(type="last")
    served: list[float] = []
    many = asyncio.create_task(harness.commands.apply_bulk("cancel", parse_filter("type:fix"), None, "uid:0"))
    while not many.done():
        await harness.add(type="other")
        served.append(len(served))
    assert (await many).matched == 3 * commands_module.BULK_CHUNK
    assert len(served) >= 2


async def test_too_many_jobs_are_refused_before_the_first_change(harness: CommandsHarness, monkeypatch: Any) -> None:
    monkeypatch.setattr(commands_module, "MAX_BULK_JOBS", 2)
    ids = [await harness.add() for _ in range(3)]
    for call in (harness.commands.preview_bulk("cancel", parse_filter("is:open"), None), _cancel_all(harness.commands)):
        with pytest.raises(Refusal, match="more than 2 jobs match"):
            await call
    assert {(await harness.job(job_id)).status for job_id in ids} == {Status.QUEUED}


async def test_a_full_disk_in_the_middle_is_reported_for_each_job(harness: CommandsHarness, monkeypatch: Any) -> None:
    monkeypatch.setattr(commands_module, "BULK_CHUNK", 2)
    ids = [await harness.add() for _ in range(5)]
    write, calls = harness.store.write, 0

    async def once(function: Callable[..., Any], *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise StorageUnavailable("database or disk is full")
        return await write(function, *args)

    monkeypatch.setattr(harness.store, "write", once)
    result = await _cancel_all(harness.commands)
    assert results(result) == [
        *((job_id, True, "CANCELLED", UNSET) for job_id in ids[:2]),
        *((job_id, False, "QUEUED", "storage_unavailable") for job_id in ids[2:]),
    ]
    with pytest.raises(StorageUnavailable):
        await _cancel_all(harness.commands)


async def _cancel_all(commands: JobCommands) -> BulkResult:
    return await commands.apply_bulk("cancel", parse_filter("is:open"), None, "uid:0")
