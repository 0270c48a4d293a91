"""Which queued jobs have a message: the next ones, in their order, whatever is lost."""

import asyncio
from pathlib import Path

import pytest

from stitcherd.queue import QueuedJob
from stitcherd.queue import messages as queue_module
from stitcherd.queue.messages import WINDOW, Queue
from stitcherd.store.errors import StorageUnavailable
from tests.stitcherd.test_queue import messages, open_queue, until


class Backlog:
    """Queued jobs as the store has them: a job leaves when it is run."""

    def __init__(self, *jobs: QueuedJob) -> None:
        self.jobs = list(jobs)
        self.done: list[str] = []
        self.most = 0
        self.reads = 0
        self.fault: Exception | None = None
        self.go = asyncio.Event()
        self.queue: Queue | None = None  # a job takes until this queue has the messages that it wants to have

    async def read(self, limit: int) -> list[QueuedJob]:
        self.reads += 1
        fault, self.fault = self.fault, None
        if fault:
            raise fault
        return sorted(self.jobs, key=lambda job: -job[2])[:limit]

    async def run(self, job_id: str, _attempt: int) -> None:
        await self.go.wait()
        if self.queue is not None:
            if self.queue._filling is not None:
                await asyncio.wait({self.queue._filling})
            await asyncio.sleep(0)  # until what is to be sent is handed over
            await asyncio.get_running_loop().run_in_executor(self.queue._feeder, bool)
        self.jobs = [job for job in self.jobs if job[0] != job_id]
        if job_id not in self.done:
            self.done.append(job_id)

    def put(self, queue: Queue, job: QueuedJob) -> None:
        self.jobs.append(job)
        queue.put(*job)


async def test_only_the_next_jobs_have_a_message_and_all_run_in_their_order(tmp_path: Path) -> None:
    wanted = [*((f"urgent-{number}", 1, 9) for number in range(3)), *((f"job-{n}", 1, 5) for n in range(1200))]
    backlog = Backlog(*reversed(wanted[:3]), *wanted[3:])
    backlog.jobs[:3] = wanted[:3]
    async with open_queue(tmp_path, backlog.run, read_queued=backlog.read) as queue:
        backlog.queue = queue
        await queue.start()
        await until(lambda: len(messages(tmp_path)) == WINDOW - 1)
        for number in range(300):  # behind a full window
            backlog.put(queue, (f"later-{number}", 1, 5))
        backlog.put(queue, ("last", 1, 0))
        await asyncio.sleep(0.05)
        assert len(messages(tmp_path)) == WINDOW - 1
        backlog.go.set()
        await until(lambda: len(backlog.done) == 1504)
    assert backlog.done == [*(name for name, _, _ in wanted), *(f"later-{number}" for number in range(300)), "last"]
    assert backlog.reads < 1504 / WINDOW * 3


async def test_a_higher_priority_passes_a_full_window(tmp_path: Path) -> None:
    backlog = Backlog(*((f"job-{number}", 1, 5) for number in range(500)))
    async with open_queue(tmp_path, backlog.run, read_queued=backlog.read) as queue:
        backlog.queue = queue
        await queue.start()
        await until(lambda: len(messages(tmp_path)) == WINDOW - 1)
        for number in range(500):
            backlog.put(queue, (f"urgent-{number}", 1, 9))
        await until(lambda: len(messages(tmp_path)) == 2 * WINDOW - 1)
        backlog.go.set()
        await until(lambda: len(backlog.done) == 1000)
    assert backlog.done[1:501] == [f"urgent-{number}" for number in range(500)], "the first was running"


async def test_jobs_without_a_message_are_read_again_after_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    backlog = Backlog(*((f"job-{number}", 1, 5) for number in range(200)))
    async with open_queue(tmp_path, backlog.run, workers=3, read_queued=backlog.read) as queue:
        await queue.start()
        backlog.fault = StorageUnavailable("disk I/O error")
        backlog.go.set()
        await until(lambda: len(backlog.done) == 200)


async def test_a_message_that_its_worker_lost_is_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "HEALTH_CHECK_SECONDS", 0.05)
    backlog = Backlog(("a", 1, 5))
    async with open_queue(tmp_path, backlog.run, read_queued=backlog.read) as queue:
        run = queue._run_message
        monkeypatch.setattr(queue, "_run_message", lambda *_: monkeypatch.setattr(queue, "_run_message", run))
        queue._task = queue._huey.task(name="lost")(lambda *_: queue._run_message())  # type: ignore[call-arg]
        await queue.start()
        queue._task = queue._huey.task(name="found")(run)
        backlog.go.set()
        await until(lambda: backlog.done == ["a"])
