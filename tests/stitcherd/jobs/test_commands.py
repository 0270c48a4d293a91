"""Many jobs at once, on a real store and queue: chosen first, changed in parts, each told."""

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
from stitcherd.jobs import commands as module
from stitcherd.jobs.commands import JobCommands
from stitcherd.queue import Queue
from stitcherd.store import jobs, transitions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

DECISION = Decision(Verdict.ALLOWED, "by hand", "r-1")
NEW = jobs.NewJob(
    id="",
    workspace="default",
    type="fix",
    profile="weaver",
    executor="agent",
    priority=5,
    repository="octo-org/api",
    ref=None,
    thread=None,
    prompt="",
    metadata={},
    tries_max=1,
    on_interrupt="fail",
    rails_revision="r-1",
    actor="uid:0",
    origin={},
)


class Floor:
    """A store with a queue that is not started, and what the runner was told to end."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self.store = store
        self.queue = queue
        self.ended: list[str] = []
        self.bulk = JobCommands(store, queue, self)  # type: ignore[arg-type]  # of a runner it needs only this

    def cancel(self, job_id: str) -> None:
        self.ended.append(job_id)

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

    async def nudges(self) -> int:
        await asyncio.get_running_loop().run_in_executor(self.queue._feeder, int)  # behind all that was put
        return int(self.queue._huey.pending_count())


@pytest.fixture
async def floor(tmp_path: Path) -> AsyncIterator[Floor]:
    async def never(_job_id: str, _attempt: int) -> None:
        raise AssertionError

    store = await Store.open(tmp_path / "stitcher.db")
    queue = Queue(tmp_path / "queue.db", 1, never)
    yield Floor(store, queue)
    queue._feeder.shutdown()
    queue._huey.storage.close()
    await store.close()


def told(result: BulkResult) -> list[tuple[str, bool, Status, Any]]:
    assert result.matched == len(result.items)
    return [(item.id, item.ok, item.status, item.code) for item in result.items]


async def test_cancel_tells_each_job_its_own_end(floor: Floor) -> None:
    queued, running, completed = [
        await floor.add(status) for status in (Status.QUEUED, Status.RUNNING, Status.COMPLETED)
    ]
    await floor.add(workspace="lab")
    await floor.add(type="review")
    result = await floor.bulk.change("cancel", parse_filter("type:fix"), "default", "token:ci")
    assert told(result) == [
        (queued, True, "CANCELLED", UNSET),
        (running, True, "RUNNING", UNSET),
        (completed, False, "COMPLETED", "not_cancellable"),
    ]
    assert (await floor.job(running)).cancel_requested
    assert running in floor.ended
    assert completed not in floor.ended
    async with floor.store.reading() as db:
        last = (await jobs.get_job_detail(db, queued, None)).events
    assert isinstance(last, tuple)
    assert (last[-1].type, last[-1].actor) == ("job.cancelled", "token:ci")


async def test_retry_queues_again_and_refuses_what_cannot(floor: Floor) -> None:
    thread = Thread("issue", 7)
    over, blocked = await floor.add(Status.CANCELLED), await floor.add(Status.CANCELLED, thread=thread)
    waiting = await floor.add(thread=thread)
    result = await floor.bulk.change("retry", parse_filter("repo:octo-org/*"), None, "uid:0")
    assert told(result) == [
        (over, True, "QUEUED", UNSET),
        (blocked, False, "CANCELLED", "conflict"),
        (waiting, False, "QUEUED", "not_retryable"),
    ]
    assert (await floor.job(over)).attempt == 2
    assert await floor.nudges() == 1


@pytest.mark.parametrize("action", ["cancel", "retry"])
async def test_a_look_changes_nothing(floor: Floor, action: module.BulkAction) -> None:
    ids = [await floor.add(status) for status in (Status.QUEUED, Status.CANCELLED, Status.COMPLETED)]
    before = [await floor.job(job_id) for job_id in ids]
    result = await floor.bulk.look(action, parse_filter("type:fix"), None)
    assert [item.ok for item in result.items] == [action == "cancel", action == "retry", False]
    assert result.items[2].code == module.BULK_STATUSES[action][1]
    assert [await floor.job(job_id) for job_id in ids] == before
    assert (floor.ended, await floor.nudges()) == ([], 0)


async def test_only_jobs_that_passed_at_the_beginning_are_meant(floor: Floor, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BULK_CHUNK", 2)
    chosen = [await floor.add() for _ in range(7)]
    each = module._apply_to_each
    late: list[str] = []

    def meanwhile(db: Any, move: Any, job_ids: list[str]) -> Any:
        late.append(structs.replace(NEW, id=new_id()).id)
        jobs.dispatch(db, structs.replace(NEW, id=late[-1]), DECISION, now_ms())
        return each(db, move, job_ids)

    monkeypatch.setattr(module, "_apply_to_each", meanwhile)
    result = await floor.bulk.change("cancel", parse_filter("state:queued"), None, "uid:0")
    assert [item.id for item in result.items] == chosen
    assert len(late) == 4
    assert {(await floor.job(job_id)).status for job_id in late} == {Status.QUEUED}


async def test_others_are_served_between_two_parts(floor: Floor) -> None:
    for _ in range(3 * module.BULK_CHUNK):
        floor.store._writer.submit(jobs.dispatch, structs.replace(NEW, id=new_id()), DECISION, now_ms())
    await floor.add(type="last")
    served: list[float] = []
    many = asyncio.create_task(floor.bulk.change("cancel", parse_filter("type:fix"), None, "uid:0"))
    while not many.done():
        await floor.add(type="other")
        served.append(len(served))
    assert (await many).matched == 3 * module.BULK_CHUNK
    assert len(served) >= 2


async def test_too_many_are_refused_before_the_first(floor: Floor, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MAX_BULK_JOBS", 2)
    ids = [await floor.add() for _ in range(3)]
    for call in (floor.bulk.look("cancel", parse_filter("is:open"), None), _change(floor.bulk)):
        with pytest.raises(Refusal, match="more than 2 jobs pass"):
            await call
    assert {(await floor.job(job_id)).status for job_id in ids} == {Status.QUEUED}


async def test_a_full_disk_in_the_middle_is_told(floor: Floor, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BULK_CHUNK", 2)
    ids = [await floor.add() for _ in range(5)]
    write, calls = floor.store.write, 0

    async def once(function: Callable[..., Any], *args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise StorageUnavailable("database or disk is full")
        return await write(function, *args)

    monkeypatch.setattr(floor.store, "write", once)
    result = await _change(floor.bulk)
    assert told(result) == [
        *((job_id, True, "CANCELLED", UNSET) for job_id in ids[:2]),
        *((job_id, False, "QUEUED", "storage_unavailable") for job_id in ids[2:]),
    ]
    with pytest.raises(StorageUnavailable):
        await _change(floor.bulk)


async def _change(bulk: JobCommands) -> BulkResult:
    return await bulk.change("cancel", parse_filter("is:open"), None, "uid:0")
