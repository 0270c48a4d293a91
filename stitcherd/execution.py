"""What runs jobs in a daemon and in a worker: executors, checkouts, the runner, its queue and its lease."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO

from msgspec import Struct

from shared import VERSION
from shared.ids import new_id
from shared.models import RunnerJob
from stitcherd.config.settings import DaemonSettings, Settings
from stitcherd.executors import build_executors
from stitcherd.executors.health import HealthMonitor
from stitcherd.forges.connections import ForgeConnections
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.free_space import shortage_reason
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.outputs import FileOutputs, Outputs
from stitcherd.jobs.recovery import Recovery
from stitcherd.jobs.runner import Runner
from stitcherd.jobs.scheduler import Scheduler
from stitcherd.jobs.stored_outputs import StoredOutputs
from stitcherd.jobs.taker import Taker
from stitcherd.policy import ConcurrencyLimits
from stitcherd.processes.place import find_place
from stitcherd.queue.messages import Queue
from stitcherd.queue.taking import TakingQueue
from stitcherd.rails.compiled import ProfileRule
from stitcherd.rails.limits import concurrency_limits, idle_reason
from stitcherd.rails.live import LiveRails
from stitcherd.store import daemons, jobs
from stitcherd.store.daemons import NewDaemon
from stitcherd.store.errors import StorageUnavailable, UnusableDatabase
from stitcherd.store.rulings import Ruling, Undecided
from stitcherd.store.sqlite import DATABASE, open_sqlite
from stitcherd.store.store import Store

CLOCK_SKEW_MS = 2_000  # between this machine and the database: the times of jobs are those of the machine
FOLLOW_SECONDS = 15.0  # between two looks for other rails, should a notification be lost
COALESCE_SECONDS = 0.2  # between two looks because of notifications

Part = Callable[[], Awaitable[None]]


class ClockSkew(Exception):
    """The clocks of this machine and of the database differ too much."""


async def open_store(settings: Settings) -> Store:
    """Open the store of the settings; raises what its opening raises, and ClockSkew."""
    if settings.store.dsn is None:
        return await open_sqlite(Path(settings.daemon.state_dir) / DATABASE)
    try:
        from stitcherd.store.postgres import open_postgres  # noqa: PLC0415 (its driver is an extra)
    except ModuleNotFoundError as error:
        raise UnusableDatabase(f"store.kind postgres needs {error.name}: install stitcher[postgres]") from None
    store = await open_postgres(settings.store.dsn)
    try:
        async with store.reading() as db:
            _refuse_skew(await daemons.clock_skew(db))
    except BaseException:
        await store.close()
        raise
    return store


def _refuse_skew(skew: int) -> None:
    if abs(skew) > CLOCK_SKEW_MS:
        place = f"{abs(skew) / 1000:.1f} s {'behind' if skew > 0 else 'ahead of'}"
        raise ClockSkew(f"the clock of this machine is {place} that of the database: set both by NTP")


async def take_lease(store: Store, settings: Settings, role: str, lock: IO[str]) -> Lease:
    """Join the processes that share the store, with the lock on the state directory; raises CannotJoin."""
    daemon, state_dir = settings.daemon, Path(settings.daemon.state_dir)
    place = find_place(state_dir, lock)
    new = NewDaemon(
        id=new_id(),
        name=daemon.name,
        host=os.uname().nodename,
        state_dir=str(state_dir),
        state_id=place.state_id,
        lock_id=place.lock_id,
        machine=place.machine,
        pid=os.getpid(),
        role=role,
        version=VERSION,
        workers=daemon.workers,
    )
    lease = Lease(store, new, settings.store.lease if settings.store.is_shared else None)
    await lease.join()
    return lease


class Execution(Struct, frozen=True):
    """What runs jobs.

    `parts` go on until the process stops, `lasting_parts` until the last job has ended; by name.
    """

    checkouts: Checkouts
    outputs: Outputs
    health: HealthMonitor
    runner: Runner
    recovery: Recovery
    queue: Queue | TakingQueue
    parts: dict[str, Part]
    lasting_parts: dict[str, Part]


def build_execution(
    store: Store,
    settings: Settings,
    rails: LiveRails,
    forges: ForgeConnections,
    lease: Lease,
    decide_again: Callable[[RunnerJob], Awaitable[Ruling | Undecided | None]],
) -> Execution:
    """Return what runs jobs of the store; raises UnusableCheckouts."""
    daemon, executors = settings.daemon, build_executors(settings.executors)
    checkouts = Checkouts(Path(daemon.state_dir), forges.git_credential, daemon.checkouts_dir)
    state = Path(daemon.state_dir)
    outputs = FileOutputs(state) if settings.store.dsn is None else StoredOutputs(store, state)
    health = HealthMonitor(executors, partial(_profiles_of, rails))
    current_limits = partial(_current_limits, rails, health, daemon)
    runner = Runner(
        store,
        settings,
        rails.at,
        decide_again,
        executors,
        checkouts,
        outputs,
        lease.owner,
        current_limits,
        health.report_unreachable,
        forges.minted_secrets,
        forges.find_head,
    )
    recovery = Recovery(
        store,
        checkouts,
        settings.repository,
        rails.at,
        machine=lease.new.machine,
        state_id=lease.new.state_id,
        lease=lease.milliseconds,
        runs_jobs=daemon.workers > 0,
        executors=executors,
    )
    queue: Queue | TakingQueue
    if settings.store.is_shared:
        taker = Taker(store, runner, lease, health.healthy, health.broken, current_limits)
        queue = TakingQueue(daemon.workers, taker.take, taker.run, store.job_changes())
        parts: dict[str, Part] = {}
        keep = partial(lease.keep, partial(_reached, daemon, health), runner.abandon, partial(_rejoin, runner))
        lasting: dict[str, Part] = {"the lease": keep, "the cancels": taker.follow_cancels}
    else:
        scheduler, path = Scheduler(store, runner.run, current_limits, daemon.workers), state / "queue.db"
        queue = Queue(path, daemon.workers, scheduler.run_job, partial(_next_jobs, store))
        parts, lasting = {"the scheduler": partial(scheduler.run, queue.put)}, {}
    parts["the recovery"] = partial(recovery.run, lease, queue)
    parts["the queue's health"] = queue.keep_healthy
    return Execution(checkouts, outputs, health, runner, recovery, queue, parts, lasting)


async def has_earlier_daemon(store: Store, lease: Lease) -> bool:
    """Say whether a daemon that was started before this one shares the store."""
    async with store.reading() as db:
        living = await daemons.living_daemons(db)
    return next((each.id for each in living if each.role == "daemon"), lease.owner) != lease.owner


async def follow_rails(rails: LiveRails, store: Store) -> None:
    """Use what another daemon puts in force, for ever."""
    changed = store.job_changes()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_SECONDS):
                await changed.wait()
        changed.clear()
        with suppress(StorageUnavailable):
            await rails.follow()
        await asyncio.sleep(COALESCE_SECONDS)


def _reached(daemon: DaemonSettings, health: HealthMonitor) -> list[str] | None:
    """Return the executors that can be reached, None while that is not known; none where no jobs are run."""
    if daemon.workers == 0:
        return []
    return health.healthy() if health.is_checked else None


def _rejoin(runner: Runner, owner: str) -> None:
    runner.owner = owner


async def _next_jobs(store: Store, limit: int) -> list[tuple[str, int, int]]:
    async with store.reading() as db:
        return await jobs.next_jobs(db, limit)


def _profiles_of(rails: LiveRails, executor: str) -> list[ProfileRule]:
    """Return the profiles of the current rails whose jobs run on an executor."""
    types = rails.current.jobs.values() if rails.current else ()
    return [job.profile for job in types if job.profile.executor == executor]


def _current_limits(rails: LiveRails, health: HealthMonitor, daemon: DaemonSettings) -> ConcurrencyLimits:
    """Return what may run now, whatever rails the jobs were decided under."""
    current = rails.current
    rules, digest = (current.limits, current.digest) if current else (None, None)
    return concurrency_limits(rules, health.away(), idle_reason(current) or shortage_reason(daemon), digest)
