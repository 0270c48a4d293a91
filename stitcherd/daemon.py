"""Freed memory that glibc keeps is given back now and then: every read from a connection leaves holes in its heap."""

import asyncio
import ctypes
import logging
import os
import resource
import signal
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from socket import socket as Socket  # noqa: N812 (a class, whatever its case)

from aiohttp import web

from shared import VERSION, locations
from shared.api import Meta
from shared.ids import format_timestamp, new_id, now_ms
from shared.protocol import API_VERSION
from stitcherd import processes
from stitcherd.config.settings import Settings
from stitcherd.config.types import SupportedKinds
from stitcherd.executors import EXECUTORS, build_executors
from stitcherd.executors.health import HealthMonitor
from stitcherd.gates import BUILTINS
from stitcherd.git.checkout import Checkouts
from stitcherd.http import unix_socket
from stitcherd.http.apps import local_app, public_app
from stitcherd.http.feed import EventFeed
from stitcherd.http.server import PROTOCOL_OPTIONS, listen
from stitcherd.http.state import AppState
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.evaluator import configured_facts
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.recovery import recover_running_jobs
from stitcherd.jobs.retention import run_retention
from stitcherd.jobs.runner import Runner
from stitcherd.jobs.scheduler import Scheduler
from stitcherd.policy import ConcurrencyLimits
from stitcherd.processes import file_lock
from stitcherd.queue import Queue
from stitcherd.rails.compiled import CompiledRails, ProfileRule
from stitcherd.rails.limits import concurrency_limits
from stitcherd.rails.live import LiveRails
from stitcherd.rails.validate import RailsContext
from stitcherd.rails.watch import watch_rails
from stitcherd.sandbox.bubblewrap import SandboxSpec, missing_sandbox_warnings
from stitcherd.sources import KINDS
from stitcherd.store import events, jobs
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

log = logging.getLogger("stitcherd")

MEMORY_TRIM_SECONDS = 15.0  # a trim takes 1-2 ms


async def trim_memory() -> None:
    """Trim the heap for ever; returns at once where the C library cannot (musl)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await asyncio.sleep(MEMORY_TRIM_SECONDS)
        trim(0)


SUPPORTED_KINDS = SupportedKinds(KINDS, EXECUTORS)
HTTP_SHUTDOWN_SECONDS = 1.0  # for answers that are under way when a door closes
MAX_OPEN_FILES = 16_384


def rails_context(directory: Path, settings: Settings) -> RailsContext:
    """Return what the rails of a config directory are checked against."""
    private = (directory, *settings.private)
    return RailsContext(BUILTINS, settings.secret_names, private, configured_facts(settings))


async def reload_rails(rails: LiveRails) -> bool:
    """Reload the rails; return False, to try again soon, if the file is being written or nothing can be stored."""
    try:
        return await rails.reload()
    except StorageUnavailable as error:
        log.error("the rails were read, but could not be stored (%s); trying again", error)  # noqa: TRY400 (no bug of ours)
        return False


def requested_sandboxes(rulebook: CompiledRails) -> Iterator[tuple[int, str, SandboxSpec | None]]:
    """Yield the sandboxes that jobs ask for: the line, who asks there, and for what."""
    for job in rulebook.jobs.values():
        yield job.profile.line, f"profile {job.profile.name}", job.profile.box
        yield from ((gate.line, f"gate {gate.name}", gate.box) for gate in job.gates)


def unavailable_sandboxes(rulebook: CompiledRails | None) -> list[str]:
    """Return what rails ask of this machine in vain."""
    found = missing_sandbox_warnings(requested_sandboxes(rulebook)) if rulebook else ()
    return [f"{locations.RAILS_FILE}:{lack.line}: {lack.message}" for lack in found]


def _log_warnings(sentences: Iterable[str]) -> None:
    """Log each as a warning."""
    for sentence in sentences:
        log.warning("%s", sentence)


async def serve(directory: Path, settings: Settings) -> None:
    """Build the house, open its doors, and close them again after SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: os._exit(1) if stop.is_set() else stop.set())
    _raise_open_files_limit()
    processes.become_subreaper()
    processes.set_not_dumpable()
    loop.add_signal_handler(signal.SIGCHLD, processes.reap_orphans)
    state = Path(settings.daemon.state_dir)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as closing:
        closing.enter_context(file_lock.acquire_lock(state / "lock", f"state directory {state}"))
        socket, held = unix_socket.bind_socket(Path(settings.daemon.socket))
        closing.callback(Path(settings.daemon.socket).unlink, missing_ok=True)
        closing.enter_context(held)
        store = await Store.open(state / "stitcher.db")
        closing.push_async_callback(store.close)
        rails = LiveRails(directory / locations.RAILS_FILE, StoredRevisions(store), rails_context(directory, settings))
        await rails.reload()
        _log_warnings([*settings.warnings, *unavailable_sandboxes(rails.current)])
        loop.add_signal_handler(signal.SIGHUP, rails.reload_requested.set)
        checkouts = Checkouts(state)
        executors, owner = build_executors(settings.executors), new_id()
        taken_over = await recover_running_jobs(store, checkouts, owner)
        health = HealthMonitor(executors, lambda name: _profiles_of(rails, name))
        slots = partial(_current_limits, rails, health)
        runner = Runner(store, settings, rails.at, executors, checkouts, owner, slots, health.report_unreachable)
        scheduler = Scheduler(store, runner.run, slots, settings.daemon.workers)
        queue = Queue(state / "queue.db", settings.daemon.workers, scheduler.run_job)
        intake = Intake(store, settings, rails, queue, runner)
        async with store.reading() as db:
            waiting = await jobs.queued_jobs(db)
            instance = await events.instance(db)
        feed = EventFeed(store)
        meta = Meta(VERSION, API_VERSION, instance, os.getpid(), format_timestamp(now_ms()))
        house = AppState(settings, store, rails, intake, JobCommands(store, queue, runner), feed, meta, health)
        await closing.enter_async_context(health.running())
        await _start_http(house, socket, closing)
        await health.wait_until_checked()  # webhooks need not wait for it, but a job should find its executor there
        queue.start()
        closing.push_async_callback(queue.stop)
        chores = [
            asyncio.create_task(queue.refill(taken_over + waiting)),
            asyncio.create_task(scheduler.run(queue.put)),
            asyncio.create_task(intake.approvals.expire_forever()),
            asyncio.create_task(run_retention(store, settings, checkouts)),
            asyncio.create_task(watch_rails(rails.path, rails.reload_requested, partial(reload_rails, rails))),
            asyncio.create_task(trim_memory()),
        ]
        follow = asyncio.create_task(feed.run())
        await stop.wait()
        log.info("stopping")
        house.stopping_since = format_timestamp(now_ms())
        for chore in chores:
            chore.cancel()
        queue.hold()
        await runner.stop(settings.daemon.grace)
        feed.close()
        follow.cancel()


def _profiles_of(rails: LiveRails, executor: str) -> list[ProfileRule]:
    """Return the profiles under which the rails in force ask an executor for jobs."""
    jobs = rails.current.jobs.values() if rails.current else ()
    return [job.profile for job in jobs if job.profile.executor == executor]


def _current_limits(rails: LiveRails, health: HealthMonitor) -> ConcurrencyLimits:
    """Return what may run now, whatever rails the jobs were decided under."""
    return concurrency_limits(rails.current.limits if rails.current else None, health.away())


async def _start_http(house: AppState, socket: Socket, closing: AsyncExitStack) -> None:
    """Listen on the bound Unix socket and on TCP until `closing` closes."""
    local = web.AppRunner(
        local_app(house), **PROTOCOL_OPTIONS, shutdown_timeout=HTTP_SHUTDOWN_SECONDS, keepalive_timeout=3600.0
    )
    public = web.AppRunner(public_app(house), shutdown_timeout=HTTP_SHUTDOWN_SECONDS)
    for door in (local, public):
        await door.setup()
        closing.push_async_callback(door.cleanup)
    await web.SockSite(local, socket).start()
    http = house.settings.http
    closing.callback((await listen(public, http.host, http.port)).close)
    log.info("listening on %s and http://%s:%d", house.settings.daemon.socket, http.host, http.port)


def _raise_open_files_limit() -> None:
    """Take as many file descriptors as we may have, within reason: strangers' connections must not starve jobs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
