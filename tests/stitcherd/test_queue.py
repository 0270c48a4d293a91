"""The dispatch queue with real workers, and the private names of Huey that it relies on."""

import asyncio
import inspect
import json
import pickle
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from huey import SqliteHuey
from huey.consumer import Consumer, Scheduler, Worker
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import BaseStorage, SqliteStorage

from stitcherd.queue import messages as queue_module
from stitcherd.queue.messages import Queue, ReadQueued, nothing_queued
from stitcherd.store.errors import StorageUnavailable

Run = Callable[[str, int], Awaitable[None]]
SAVED: list[str] = []


@asynccontextmanager
async def open_queue(
    tmp_path: Path, run: Run, workers: int = 1, read_queued: ReadQueued = nothing_queued
) -> AsyncIterator[Queue]:
    """Open a queue that is kept healthy; the test starts it."""
    queue = Queue(tmp_path / "queue.db", workers, run, read_queued)
    health = asyncio.create_task(queue.keep_healthy())
    yield queue
    health.cancel()
    async with asyncio.timeout(20):
        await queue.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (it changes in other threads)
            await asyncio.sleep(0.005)


def messages(tmp_path: Path) -> list[bytes]:
    with closing(sqlite3.connect(tmp_path / "queue.db")) as db:
        return [bytes(data) for (data,) in db.execute("SELECT data FROM task ORDER BY priority DESC, id")]


class RecordingRun:
    """Records the jobs it is called with, and raises the given faults, one a call."""

    def __init__(self, *faults: BaseException) -> None:
        self.jobs: list[tuple[str, int]] = []
        self.faults = list(faults)

    async def run(self, job_id: str, attempt: int) -> None:
        self.jobs.append((job_id, attempt))
        if self.faults:
            raise self.faults.pop(0)


async def test_jobs_run_by_priority_and_then_in_their_order(tmp_path: Path) -> None:
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as queue:
        for name, priority in (("a", 5), ("b", 0), ("c", 10), ("d", 5), ("e", 10)):
            queue.put(name, 1, priority)
        await until(lambda: len(messages(tmp_path)) == 5)
        await queue.start()
        await until(lambda: len(recorded.jobs) == 5)
    assert recorded.jobs == [("c", 1), ("e", 1), ("a", 1), ("d", 1), ("b", 1)]


async def test_a_message_wakes_a_worker_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "MAX_DEQUEUE_WAIT_SECONDS", 3600.0)
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run, workers=3) as queue:
        await queue.start()
        for number in range(40):
            queue.put(str(number), 1, 5)
            await until(lambda wanted=number + 1: len(recorded.jobs) == wanted)  # type: ignore[misc]
        for number in range(40):
            queue.put(str(number), 2, 5)
        await until(lambda: len(recorded.jobs) == 80)


async def test_at_most_workers_jobs_run_at_the_same_time(tmp_path: Path) -> None:
    now, most, go = 0, 0, asyncio.Event()

    async def run(_job: str, _attempt: int) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await go.wait()
        now -= 1

    async with open_queue(tmp_path, run, workers=3) as queue:
        for number in range(9):
            queue.put(str(number), 1, 5)
        await queue.start()
        await until(lambda: now == 3)
        go.set()
        await until(lambda: not messages(tmp_path) and now == 0)
    assert most == 3


async def test_the_file_of_an_earlier_queue_is_deleted(tmp_path: Path) -> None:
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as earlier:
        earlier.hold()
        earlier._enqueue([("old", 1, 10)])
        await earlier.start()
    (tmp_path / "queue.db-wal").write_bytes(b"torn")
    async with open_queue(tmp_path, recorded.run) as queue:
        queue.put("new", 1, 0)
        await queue.start()
        await until(lambda: recorded.jobs != [])
    assert recorded.jobs == [("new", 1)]


async def test_nothing_is_pickled(tmp_path: Path) -> None:
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as queue:
        queue.put("a", 1, 5)
        queue.put("b", 2, 5)
        await until(lambda: len(messages(tmp_path)) == 2)
        assert [json.loads(message)[2] for message in messages(tmp_path)] == [["a", 1], ["b", 2]]
        with closing(sqlite3.connect(tmp_path / "queue.db")) as db, db:
            evil = pickle.dumps(Evil())
            db.execute("INSERT INTO task (queue, data, priority) VALUES ('stitcher', ?, 99)", (evil,))
        await queue.start()
        await until(lambda: len(recorded.jobs) == 2)
    assert SAVED == []


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return SAVED.append, ("run by whoever wrote the file",)


async def test_a_worker_that_dies_is_restarted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as queue:
        storage = queue._huey.storage
        first = queue._consumer.worker_threads[0][1]

        def die() -> None:
            del storage.dequeue  # restores the method of the class
            raise SystemExit

        storage.dequeue = die
        await queue.start()
        await until(lambda: not first.is_alive())
        queue.put("a", 1, 5)
        await until(lambda: recorded.jobs == [("a", 1)])


@pytest.mark.parametrize("fault", [LookupError("a bug"), asyncio.CancelledError()])
async def test_a_job_that_fails_or_is_cancelled_does_not_end_its_worker(tmp_path: Path, fault: BaseException) -> None:
    recorded = RecordingRun(fault)
    async with open_queue(tmp_path, recorded.run) as queue:
        worker = queue._consumer.worker_threads[0][1]
        await queue.start()
        queue.put("a", 1, 5)
        queue.put("b", 1, 5)
        await until(lambda: len(recorded.jobs) == 2)
        assert worker.is_alive()


async def test_a_job_that_the_store_could_not_claim_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    recorded = RecordingRun(StorageUnavailable("database is locked"), StorageUnavailable("disk is full"))
    async with open_queue(tmp_path, recorded.run) as queue:
        await queue.start()
        queue.put("a", 3, 5)
        await until(lambda: len(recorded.jobs) == 3)
    assert recorded.jobs == [("a", 3)] * 3


async def test_a_message_that_the_queues_file_refuses_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as queue:
        storage = queue._huey.storage

        def refuse(*_: object) -> None:
            del storage.enqueue_many
            raise sqlite3.OperationalError("database or disk is full")

        storage.enqueue_many = refuse
        await queue.start()
        queue.put("a", 1, 5)
        await until(lambda: recorded.jobs == [("a", 1)])


async def test_a_job_that_is_offered_again_has_one_message(tmp_path: Path) -> None:
    """Each message that is taken for nothing makes the scheduler offer several jobs: they must not become more."""
    recorded = RecordingRun()
    async with open_queue(tmp_path, recorded.run) as queue:
        for _ in range(5):
            queue.put("a", 1, 5)
        queue.put("a", 2, 5)
        await until(lambda: len(messages(tmp_path)) == 2)
        await queue.start()
        await until(lambda: len(recorded.jobs) == 2)
        queue.put("a", 1, 5)
        await until(lambda: len(recorded.jobs) == 3)
    assert recorded.jobs == [("a", 1), ("a", 2), ("a", 1)]


async def test_a_file_that_cannot_be_read_for_a_while_loses_nothing_and_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(queue_module, "MAX_DEQUEUE_WAIT_SECONDS", 0.01)
    recorded, refused = RecordingRun(), 0

    def refuse(*_: object) -> None:
        nonlocal refused
        refused += 1
        raise sqlite3.OperationalError("disk I/O error")

    async with open_queue(tmp_path, recorded.run) as queue:
        with monkeypatch.context() as away:
            away.setattr(SqliteStorage, "dequeue", refuse)
            away.setattr(SqliteStorage, "queue_size", refuse)
            await queue.start()
            queue.put("a", 1, 5)
            await until(lambda: refused > 20)
        await until(lambda: recorded.jobs == [("a", 1)])
    [line] = [each for each in caplog.records if each.levelname == "ERROR"]
    assert line.message == "no job can be taken from the queue: disk I/O error; trying again"
    assert line.exc_info is None


async def test_stop_ends_waiting_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "MAX_DEQUEUE_WAIT_SECONDS", 3600.0)
    async with open_queue(tmp_path, RecordingRun().run, workers=3) as queue:
        threads = [thread for _, thread in queue._consumer.worker_threads] + [queue._consumer.scheduler]
        await queue.start()
        await until(lambda: all(thread.is_alive() for thread in threads))
    assert not any(thread.is_alive() for thread in threads)
    queue.put("late", 1, 5)


async def test_stop_waits_for_running_jobs_and_starts_no_more(tmp_path: Path) -> None:
    started, go, ended = asyncio.Event(), asyncio.Event(), []

    async def run(job_id: str, _attempt: int) -> None:
        started.set()
        await go.wait()
        ended.append(job_id)

    async with open_queue(tmp_path, run) as queue:
        await queue.start()
        queue.put("a", 1, 5)
        await started.wait()
        queue.put("b", 1, 5)
        await until(lambda: len(messages(tmp_path)) == 1)
        queue.hold()
        stopping = asyncio.create_task(queue.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        go.set()
        await stopping
    assert ended == ["a"]


async def test_signal_handlers_are_not_changed(tmp_path: Path) -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    async with open_queue(tmp_path, RecordingRun().run) as queue:
        await queue.start()
        assert {number: signal.getsignal(number) for number in before} == before


def test_hueys_private_names_have_the_expected_shape() -> None:
    """Fails where a new version of Huey changes what we rely on."""
    assert list(inspect.signature(Consumer._set_signal_handlers).parameters) == ["self"]
    assert inspect.getsource(Consumer.start).count("_set_signal_handlers") == 1
    assert {"start", "stop", "check_worker_health"} <= set(dir(Consumer))
    assert Consumer.scheduler_class is Scheduler
    assert list(inspect.signature(Scheduler.loop).parameters) == ["self", "now"]
    assert "graceful" in inspect.signature(Consumer.stop).parameters
    assert {"workers", "periodic", "check_worker_health"} <= set(inspect.signature(Consumer.__init__).parameters)
    assert "self.huey.storage.blocking" in inspect.getsource(Worker.loop)
    assert SqliteStorage.blocking is False
    assert list(inspect.signature(SqliteStorage.enqueue).parameters) == ["self", "data", "priority"]
    assert list(inspect.signature(SqliteStorage.dequeue).parameters) == ["self"]
    assert SqliteStorage.table_task == (
        "create table if not exists task (id integer not null primary key, queue text not null, "
        "data blob not null, priority real not null default 0.0)"
    )
    assert list(inspect.signature(SqliteStorage.peek_many).parameters) == ["self", "keys"]
    assert list(inspect.signature(SqliteStorage.pop_data).parameters) == ["self", "key"]
    assert SqliteStorage.delete_data is BaseStorage.delete_data
    assert {"_serialize", "_deserialize"} <= set(dir(Serializer))
    assert Message._fields[:4] == ("id", "name", "eta", "retries")
    assert {"args", "kwargs"} <= set(Message._fields)


def test_huey_keeps_our_settings(tmp_path: Path) -> None:
    huey = SqliteHuey("x", filename=str(tmp_path / "x.db"), results=False, fsync=False)
    assert huey.results is False
    with huey.storage.db() as cursor:
        assert cursor.execute("PRAGMA synchronous").fetchone() == (0,)
        assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    huey.storage.close()
    assert isinstance(Consumer(huey, workers=1, periodic=False).stop_flag, threading.Event)
