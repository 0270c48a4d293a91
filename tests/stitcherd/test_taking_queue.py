"""The queue of a store that is shared, with real workers of Huey: what is taken runs, and one looks at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

import pytest

from stitcherd.queue.taking import TakingQueue
from stitcherd.store.errors import StorageUnavailable


class Jobs:
    """What there is to take: attempts, or faults that a look meets."""

    def __init__(self) -> None:
        self.next: deque[tuple[str, int] | Exception] = deque()
        self.changed = asyncio.Event()
        self.looks = self.looking = 0
        self.ran: list[tuple[str, int]] = []
        self.go = asyncio.Event()
        self.answer: asyncio.Event | None = None
        self.faults: list[Exception] = []

    async def take(self) -> tuple[str, int] | None:
        assert self.looking == 0, "two look at once"
        self.looks += 1
        self.looking += 1
        await (self.answer.wait() if self.answer else asyncio.sleep(0.001))
        self.looking -= 1
        if not self.next:
            return None
        found = self.next.popleft()
        if isinstance(found, Exception):
            raise found
        return found

    async def run(self, job_id: str, attempt: int) -> None:
        if self.faults:
            raise self.faults.pop()
        self.ran.append((job_id, attempt))
        await self.go.wait()


@pytest.fixture
async def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
async def queue(jobs: Jobs) -> AsyncIterator[TakingQueue]:
    queue = TakingQueue(2, jobs.take, jobs.run, jobs.changed)
    yield queue
    jobs.go.set()
    async with asyncio.timeout(20):
        await queue.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (it changes in other tasks)
            await asyncio.sleep(0.005)


async def test_as_many_run_as_there_are_workers(queue: TakingQueue, jobs: Jobs) -> None:
    jobs.next.extend(("abcd"[n], 1) for n in range(4))
    await queue.start()
    await until(lambda: len(jobs.ran) == 2)
    looks = jobs.looks
    queue.put("e", 1, 5)
    await asyncio.sleep(0.1)
    assert (len(jobs.ran), jobs.looks) == (2, looks), "nobody is free to look"
    jobs.go.set()
    await until(lambda: len(jobs.ran) == 4)
    assert sorted(jobs.ran) == [("a", 1), ("b", 1), ("c", 1), ("d", 1)]


async def test_a_change_is_looked_at_at_once(queue: TakingQueue, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.queue.taking.LOOK_SECONDS", 3600.0)
    await queue.start()
    await until(lambda: jobs.looks > 0)
    jobs.next.append(("a", 1))
    jobs.changed.set()
    await until(lambda: jobs.ran == [("a", 1)])


async def test_a_job_that_is_resumed_comes_first_and_is_not_taken(queue: TakingQueue, jobs: Jobs) -> None:
    jobs.go.set()
    await queue.start([("first", 2, 10)])
    await until(lambda: jobs.ran == [("first", 2)])
    queue.resume("second", 3)
    await until(lambda: jobs.ran == [("first", 2), ("second", 3)])


@pytest.mark.parametrize("fault", [StorageUnavailable("away"), RuntimeError("a bug")])
async def test_a_look_that_fails_is_followed_by_others(
    queue: TakingQueue, jobs: Jobs, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stitcherd.queue.taking.LOOK_SECONDS", 0.01)
    jobs.next.extend((fault, ("a", 1)))
    await queue.start()
    await until(lambda: jobs.ran == [("a", 1)])


async def test_a_job_is_known_until_its_run_has_ended(queue: TakingQueue, jobs: Jobs) -> None:
    jobs.faults.append(StorageUnavailable("away"))
    jobs.next.extend((("a", 1), ("b", 1)))
    await queue.start([("c", 1, 10)])
    queue.resume("d", 1)
    await until(lambda: len(jobs.ran) == 2)
    async with queue.holding_starts() as known:
        assert known == {job_id for job_id, _ in jobs.ran} | {each[0] for each in queue._resumed}
    jobs.go.set()
    await until(lambda: len(jobs.ran) == 3)
    async with asyncio.timeout(20):
        while True:
            async with queue.holding_starts() as known:
                if not known:
                    return
            await asyncio.sleep(0.01)


async def test_nothing_is_taken_while_somebody_asks_what_is_known(queue: TakingQueue, jobs: Jobs) -> None:
    async with queue.holding_starts() as known:
        jobs.next.append(("a", 1))
        await queue.start()
        await asyncio.sleep(0.1)
        assert (known, jobs.looks) == (frozenset(), 0)
    await until(lambda: jobs.ran == [("a", 1)])


async def test_nothing_is_taken_any_more_once_it_is_held(queue: TakingQueue, jobs: Jobs) -> None:
    await queue.start()
    await until(lambda: jobs.looks > 0)
    queue.hold()
    jobs.next.append(("a", 1))
    queue.put("a", 1, 5)
    await asyncio.sleep(0.1)
    assert (jobs.ran, len(jobs.next)) == ([], 1)


async def test_what_is_taken_while_it_is_held_does_not_run(queue: TakingQueue, jobs: Jobs) -> None:
    jobs.answer = asyncio.Event()
    jobs.next.append(("a", 1))
    await queue.start()
    await until(lambda: jobs.looking == 1)
    queue.hold()
    jobs.answer.set()
    await until(lambda: not jobs.next)
    jobs.go.set()
    await queue.stop()  # waits for the workers
    assert jobs.ran == []


async def test_without_workers_nothing_is_taken(jobs: Jobs) -> None:
    queue = TakingQueue(0, jobs.take, jobs.run, jobs.changed)
    await queue.start()
    await queue.keep_healthy()
    await queue.stop()
    assert jobs.looks == 0
