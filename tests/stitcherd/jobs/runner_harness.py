"""A runner on a real store and file system, with an executor whose behaviour the test scripts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from msgspec import Struct

from shared.models import RunnerJob
from stitcherd.config.load import load_settings
from stitcherd.config.settings import ExecutorSettings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.executors.base import (
    ExecutionResult,
    Executor,
    ExecutorHealth,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.outputs import FileOutputs
from stitcherd.jobs.runner import Runner
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.limits import concurrency_limits
from stitcherd.rails.load import parse_rails
from stitcherd.store import jobs
from stitcherd.store.rulings import Ruling
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store

RAILS = """
version: 1
profiles:
  weaver: {capabilities: [repo:read], executor: agent}
jobs:
  fix: {profile: weaver}
  checked: {profile: weaver, gates: [done, audit], tries: 2}
gates:
  done: {run: [sh, -c, "cat done"]}
  audit: {run: [sh, -c, "echo not today; exit 3"], required: false}
"""

Work = Callable[[Task, OutputSink], Awaitable[ExecutionResult]]


class ScriptedExecutor(Executor):
    """Does what `work` does, and records the tasks it got, the references it was told to end, and `detach`."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.terminated: list[dict[str, str]] = []
        self.detached = False
        self.work: Work = succeed

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        raise NotImplementedError

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        self.tasks.append(task)
        return await self.work(task, sink)

    async def resume(self, task: Task, reference: dict[str, str], sink: OutputSink) -> ExecutionResult:
        raise NotImplementedError

    async def terminate(self, reference: dict[str, str]) -> None:
        self.terminated.append(reference)

    def detach(self) -> None:
        self.detached = True

    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        raise NotImplementedError


async def succeed(_task: Task, _sink: OutputSink) -> ExecutionResult:
    return ExecutionResult(0)


class RunnerHarness(Struct):
    """A runner and what belongs to it; `unreachable` are the executors it reported, each with the reason."""

    store: Store
    runner: Runner
    executor: ScriptedExecutor
    rails: CompiledRails
    state_dir: Path
    unreachable: list[tuple[str, str]]
    limits: ConcurrencyLimits

    async def add(self, **more: Any) -> str:
        job = new_job(**{"rails_digest": self.rails.digest} | more)
        await dispatch(self.store, job)
        if job.rails_digest != self.rails.digest:  # decided under these, to run under the others
            statement = "UPDATE jobs SET decided_under = ? WHERE id = ?"
            await self.store.write(lambda db: db.execute(statement, (self.rails.digest, job.id)))
        return job.id

    async def job(self, job_id: str) -> RunnerJob:
        async with self.store.reading() as db:
            return await jobs.get_job_detail(db, job_id, None)

    async def run(self, **more: Any) -> RunnerJob:
        """Run a new job to its end and return it."""
        job_id = await self.add(**more)
        assert await self.runner.run(job_id, 1)
        return await self.job(job_id)

    async def start(self, **more: Any) -> tuple[str, asyncio.Task[bool]]:
        """Start a new job whose executor waits for ever; return once that works on it."""
        working = asyncio.Event()

        async def wait(_task: Task, sink: OutputSink) -> ExecutionResult:
            sink.write(b"working\n")
            working.set()
            await asyncio.Event().wait()
            raise AssertionError

        self.executor.work = wait
        job_id = await self.add(**more)
        running = asyncio.create_task(self.runner.run(job_id, 1))
        async with asyncio.timeout(20):
            await working.wait()
        return job_id, running


@asynccontextmanager
async def open_runner(tmp_path: Path) -> AsyncIterator[RunnerHarness]:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    (tmp_path / "stitcherd.toml").write_text(f'[daemon]\nstate_dir = "{state_dir}"\n')
    settings = load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "socket"))
    store = await open_store(state_dir / "stitcher.db")
    rails, executor = parse_rails(RAILS), ScriptedExecutor()
    unreachable: list[tuple[str, str]] = []

    async def find_rails(digest: str) -> CompiledRails:
        if digest != rails.digest:
            raise LookupError(f"rails {digest}")
        return rails

    async def unreached(job: RunnerJob) -> Ruling | None:
        raise AssertionError(job.id)

    limits = concurrency_limits(rails_digest=rails.digest)
    runner = Runner(
        store,
        settings,
        find_rails,
        unreached,
        {"agent": executor},
        Checkouts(state_dir),
        FileOutputs(state_dir),
        "me",
        lambda: harness.limits,
        lambda name, reason: unreachable.append((name, reason)),
    )
    harness = RunnerHarness(store, runner, executor, rails, state_dir, unreachable, limits)
    yield harness
    await runner.stop(0)
    await store.close()
