"""The parts of the daemon from intake to runner in this process, which a test can end as a kill would.

A kill is a copy of all files, made at the moment of the kill. What the parts still do afterwards is done to the files
that are thrown away: the next daemon is opened on the copy, at the same path.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

from shared.ids import new_id, now_ms
from shared.models import RunnerJob
from stitcherd import crash_points
from stitcherd.git.checkout import Checkouts
from stitcherd.http.feed import EventFeed
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.dispatch import DispatchedJob
from stitcherd.jobs.outputs import FileOutputs
from stitcherd.jobs.recovery import Recovery
from stitcherd.jobs.reevaluation import Reevaluator
from stitcherd.jobs.runner import Runner
from stitcherd.policy import ConcurrencyLimits
from stitcherd.rails.limits import concurrency_limits, idle_reason
from tests.stitcherd.git.repositories import commit, git
from tests.stitcherd.jobs.deciding_harness import MovedClock
from tests.stitcherd.jobs.direct_forge import DirectForge, Reporting
from tests.stitcherd.jobs.intake_harness import SETTINGS, IntakeHarness, open_harness
from tests.stitcherd.jobs.waiting_agent import Start, WaitingAgent

POINTS = (
    "before_commit",
    "after_commit",
    "after_claim",
    "before_start",
    "before_publish",
    "after_publish",
    "before_conclude",
    "answer_taken",
    "answer_sent",
    "answer_stored",
)
DATABASE_FILES = ("stitcher.db-mark", "stitcher.db", "stitcher.db-wal")  # none may be newer than the next one
REPOSITORY = "octo-org/api"
OPERATOR = "uid:0"
MEMORY = next((path for path in (Path("/dev/shm"),) if path.is_dir()), None)  # where no write waits for a disk


class CrashingDaemon:
    """One daemon after the other on the same files; `starts` are those of the executor, over all of them."""

    def __init__(self, root: Path, rails: str) -> None:
        self.place, self._copy = root / "place", root / "copy"
        self.place.mkdir()
        self.rails = rails
        self.settings = SETTINGS
        self.clock = MovedClock()
        self.forge = DirectForge(self.clock, lambda: self.is_dead)
        self._offset = 0  # of the time at which a job is approved
        self.starts: list[Start] = []
        self.endings: dict[str, str] = {}  # of the newest try of each job
        self.is_dead = False
        self.in_danger = False  # crash points are passed unharmed otherwise: while a test looks at what is stored
        self._armed: tuple[str, int] | None = None
        self._reach = crash_points.reach
        self._later = asyncio.Event()
        self.sleeping = 0  # undecided deliveries for which the forge is asked again after the next `pass_time`
        self._create_repository()
        crash_points.reach = self._pass_point

    def _create_repository(self) -> None:
        source = self.place / "source"
        source.mkdir()
        git(source, "init", "-q", "-b", "main", "--template=")
        commit(source, {"a.txt": "one\n", "tests/test_a.py": "assert True\n"})
        git(self.place, "clone", "-q", "--bare", "--template=", "source", "api.git")
        shutil.rmtree(source)

    async def open(self) -> None:
        """Start a daemon, which recovers what the one before it left."""
        self._stack = AsyncExitStack()
        self.agent = WaitingAgent(lambda: self.is_dead, self.starts.append)
        self.intake: IntakeHarness = await self._stack.enter_async_context(
            open_harness(
                self.place,
                rails_text=self.rails,
                settings_text=self.settings,
                apis={"hub": self.forge},
                now=self.clock,
                sleep=self._sleep,
                approval_clock=lambda: now_ms() + self._offset,
            )
        )
        self.reporting = await Reporting.begin(self.intake, self.forge)
        checkouts, owner, harness = Checkouts(self.place / "state"), new_id(), self.intake
        recovery = Recovery(harness.store, checkouts, harness.settings.repository, harness.rails.at)
        assert not await recovery.recover(owner)
        rule = Reevaluator(harness.store, harness.rails, harness.evaluator, harness.permissions).rule
        self.runner = Runner(
            harness.store,
            harness.settings,
            harness.rails.at,
            rule,
            {"agent": self.agent},
            checkouts,
            FileOutputs(self.place / "state"),
            owner,
            self._limits,
        )
        self.commands = JobCommands(harness.store, harness.queue, self.runner, harness.rails)
        self.feed = EventFeed(harness.store)
        self.running: dict[str, asyncio.Task[bool]] = {}

    async def close(self) -> None:
        """Stop the daemon, as after its grace period."""
        await self.runner.stop(0)
        for run in self.running.values():
            if not run.cancelled():  # one that was being cancelled already may be
                run.result()
        await self._stack.aclose()

    async def restart(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Start the next daemon: on the files as they were at the kill, if the last one was killed.

        `meanwhile` is called while no daemon runs.
        """
        while True:
            await self.close()
            if self.is_dead:
                shutil.rmtree(self.place)
                self._copy.rename(self.place)
                self.is_dead, self._armed = False, None
            meanwhile()
            await self.open()
            if not self.is_dead:  # it may have been killed in its recovery
                return

    def end(self) -> None:
        """Leave the crash points as they were."""
        crash_points.reach = self._reach

    def arm(self, point: str, passes: int) -> None:
        """Let the daemon be killed when it passes a crash point for the n-th time."""
        self._armed = point, passes

    def kill(self) -> None:
        """Copy all files as they are now; nothing that the daemon does from here on counts."""
        self.is_dead = True
        state = self.place / "state"
        self._copy.mkdir()
        (self._copy / "state").mkdir()
        for name in DATABASE_FILES:
            if (state / name).exists():
                shutil.copyfile(state / name, self._copy / "state" / name)
        omitted = shutil.ignore_patterns("stitcher.db*", "queue.db*", "*.sock", "socket")
        shutil.copytree(self.place, self._copy, symlinks=True, ignore=omitted, dirs_exist_ok=True)

    def pass_time(self) -> None:
        """Let the time come that waiting deliveries wait for."""
        self.clock.pass_time(6)
        self._later.set()
        self._later, self.sleeping = asyncio.Event(), 0

    @contextmanager
    def later_than_any_approval(self) -> Iterator[None]:
        """Let it be so late meanwhile that all requests for an approval have expired."""
        self._offset = 30 * 86_400_000
        try:
            yield
        finally:
            self._offset = 0

    async def report(self, sends: int | None, *, is_lost: bool = False) -> None:
        """Plan all that is to be said at the forge, and send some of it, by default all.

        With `is_lost` the response to the last is lost.
        """
        await self.reporting.plan()
        while not self.is_dead and (sends is None or sends > 0):
            self.forge.client.loses_next = is_lost and sends == 1
            if not await self.reporting.send_next():
                break
            sends = None if sends is None else sends - 1
        self.forge.client.loses_next = False

    async def dispatch(self, repository: str | None) -> RunnerJob:
        """Dispatch a job as the operator. Raises Refusal."""
        request = DispatchedJob("fix", "", repository, None, None, "default", 5, {})
        job, _ = await self.intake.dispatcher.dispatch(request, actor=OPERATOR)
        return job

    async def run(self, job_id: str, attempt: int) -> None:
        """Give a worker the message of a job; return when its executor works on it, or when it has ended."""
        if job_id in self.running:
            return
        self.agent.moved.clear()
        self.running[job_id] = asyncio.create_task(self.runner.run(job_id, attempt))
        await self.wait(job_id)

    async def finish(self, job_id: str, ending: str) -> None:
        """Let the executor end its work on a job; return when it has begun another try, or when the run has ended."""
        self.agent.moved.clear()
        self.endings[job_id] = ending
        self.agent.working[job_id].set_result(ending)
        await self.wait(job_id)

    async def wait(self, job_id: str) -> None:
        """Wait until a run is at its executor, or has ended."""
        run, moved = self.running[job_id], asyncio.create_task(self.agent.moved.wait())
        await asyncio.wait([run, moved], return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
        if run.done():
            del self.running[job_id]
            run.result()

    async def wait_for_end(self, job_id: str) -> None:
        """Wait until the run of a cancelled job has ended, if there is one."""
        run = self.running.pop(job_id, None)
        if run is not None:
            await run

    async def change_rails(self, text: str) -> None:
        """Put other rails in force."""
        self.rails = text
        (self.place / "rails.yaml").write_text(text)
        assert await self.intake.rails.reload()

    async def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        async with self.intake.store.reading() as db:
            return [tuple(row) for row in await db.execute_fetchall(statement, values)]

    def published(self) -> dict[str, str]:
        """Return the branches of Stitcher in the repository, with their commits."""
        heads = self.place / "api.git" / "refs" / "heads" / "stitcher"
        return {path.name: path.read_text().strip() for path in heads.iterdir()} if heads.is_dir() else {}

    def _limits(self) -> ConcurrencyLimits:
        rails = self.intake.rails.current
        return concurrency_limits(stopped=idle_reason(rails), rails_digest=rails.digest if rails else None)

    async def _sleep(self, _seconds: float) -> None:
        self.sleeping += 1
        await self._later.wait()

    def _pass_point(self, name: str) -> None:
        if self._armed is None or self._armed[0] != name or self.is_dead or not self.in_danger:
            return
        left = self._armed[1] - 1
        self._armed = (name, left) if left else None
        if left == 0:
            self.kill()
