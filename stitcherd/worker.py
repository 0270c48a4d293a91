"""A worker: what runs jobs in a daemon, for a store that several processes share, and nothing else."""

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from shared import locations
from shared.models import RunnerJob
from stitcherd.config.settings import Settings
from stitcherd.configuration import rails_context
from stitcherd.execution import Part, build_execution, follow_rails, open_store, take_lease
from stitcherd.forges.connections import ForgeConnections
from stitcherd.jobs.free_space import make_room_at_start
from stitcherd.jobs.retention import run_retention_of_files
from stitcherd.own_process import configure_process, handle_signals, manage_memory
from stitcherd.processes.file_lock import acquire_lock
from stitcherd.rails.live import LiveRails
from stitcherd.service_manager import ServiceManager
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.revisions import StoredRevisions
from stitcherd.supervision import LoopWatch, Supervision, running_parts

log = logging.getLogger("stitcherd")


async def serve_worker(directory: Path, settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT; raises what a daemon raises that has no listeners."""
    stop, manager, supervision = handle_signals(), ServiceManager(os.environ), Supervision(StorageUnavailable)
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGHUP, log.info, "SIGHUP: a worker has no file of rails to reload, it follows those in force"
    )
    configure_process()
    state_dir = Path(settings.daemon.state_dir)
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(acquire_lock(state_dir / "lock", f"state directory {state_dir}"))
        await make_room_at_start(settings.daemon)
        async with manager.starting():
            store = await open_store(settings)
        stack.push_async_callback(store.close)
        lease = await take_lease(store, settings, "worker", lock)
        stack.push_async_callback(lease.leave)
        rails = LiveRails(directory / locations.RAILS_FILE, StoredRevisions(store), rails_context(directory, settings))
        await rails.follow()
        forges = ForgeConnections(settings)
        stack.push_async_callback(forges.close)
        for warning in settings.warnings:
            log.warning("%s", warning)
        execution = build_execution(store, settings, rails, forges, lease, _leave_to_the_leader)
        await stack.enter_async_context(running_parts(supervision, execution.lasting_parts))
        await stack.enter_async_context(execution.health.running())
        await execution.health.wait_until_checked()
        await execution.queue.start(await execution.recovery.recover(lease.owner))
        stack.push_async_callback(execution.queue.stop)
        for part in (
            execution.outputs.running(supervision),
            LoopWatch().running(),
            manager.watching(lambda: store.is_alive),
        ):
            await stack.enter_async_context(part)
        log.info("worker %s takes jobs, %d at a time", settings.daemon.name, settings.daemon.workers)
        parts: dict[str, Part] = {
            **execution.parts,
            "retention": partial(run_retention_of_files, store, settings, execution.checkouts),
            "the rails": partial(follow_rails, rails, store),
            "the memory's management": manage_memory,
        }
        async with running_parts(supervision, parts):
            await stop.wait()
        log.info("stopping; a second signal ends the worker at once")
        manager.notify("STOPPING=1")
        execution.queue.hold()
        await execution.runner.stop(settings.daemon.grace)


async def _leave_to_the_leader(_job: RunnerJob) -> None:
    """Decide nothing again: a job that is to be decided again is not taken here."""
