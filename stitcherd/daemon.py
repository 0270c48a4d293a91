"""Wires the daemon's parts, runs them until a signal, and shuts them down."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from aiohttp import web

from shared import VERSION, locations
from shared.api import Meta
from shared.ids import format_timestamp, new_id, now_ms
from shared.protocol import API_VERSION
from stitcherd.config.settings import DaemonSettings, Settings
from stitcherd.configuration import machine_warnings, rails_context
from stitcherd.event_log import logging_events
from stitcherd.executors import build_executors
from stitcherd.executors.health import HealthMonitor
from stitcherd.forges.connections import ForgeConnections
from stitcherd.git.checkout import Checkouts
from stitcherd.http.apps import local_app, public_app
from stitcherd.http.feed import EventFeed
from stitcherd.http.server import listen, listen_locally
from stitcherd.http.state import AppState
from stitcherd.http.unix_socket import LocalSocket, UnusableSocketPath
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.deciding import Deciding
from stitcherd.jobs.dispatch import Dispatcher
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.free_space import make_room_at_start, shortage_reason
from stitcherd.jobs.head_pins import pin_heads
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.permissions import Permissions
from stitcherd.jobs.recovery import recover_running_jobs
from stitcherd.jobs.reevaluation import Reevaluator
from stitcherd.jobs.retention import run_retention
from stitcherd.jobs.runner import Runner
from stitcherd.jobs.scheduler import Scheduler
from stitcherd.jobs.thread_commands import ThreadCommands
from stitcherd.metrics import start_at_zero
from stitcherd.own_process import configure_process, handle_signals, manage_memory
from stitcherd.policy import ConcurrencyLimits
from stitcherd.polling.pollers import Pollers
from stitcherd.processes.file_lock import LockHeld, acquire_lock
from stitcherd.queue import Queue
from stitcherd.rails.compiled import ProfileRule
from stitcherd.rails.limits import concurrency_limits, idle_reason
from stitcherd.rails.live import LiveRails
from stitcherd.rails.watch import watch_rails
from stitcherd.reporting.reporter import Reporter
from stitcherd.service_manager import ServiceManager
from stitcherd.store import events, jobs
from stitcherd.store.errors import StorageUnavailable, UnusableDatabase
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.sqlite import DATABASE, open_sqlite
from stitcherd.store.store import Store
from stitcherd.supervision import LoopWatch

HTTP_SHUTDOWN_SECONDS = 1.0  # for requests that are being answered when a listener closes
SOCKET_CHECK_SECONDS = 2.0  # between two looks whether the socket is still at its path

log = logging.getLogger("stitcherd")


async def serve(directory: Path, settings: Settings) -> None:
    """Run the daemon until SIGTERM or SIGINT; `directory` is that of the configuration.

    Raises LockHeld, AppUnusable, UnusableSocketPath, UnusableCheckouts, AddressUnavailable, NewerDatabase,
    DamagedDatabase, UnusableDatabase, StorageUnavailable, OSError.
    """
    stop, manager = handle_signals(), ServiceManager(os.environ)
    configure_process()
    state_dir, socket_path = Path(settings.daemon.state_dir), Path(settings.daemon.socket)
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        stack.enter_context(acquire_lock(state_dir / "lock", f"state directory {state_dir}"))
        await make_room_at_start(settings.daemon)
        socket = LocalSocket(socket_path)
        stack.callback(socket.close)
        async with manager.starting():
            store = await _open_store(settings)
        stack.push_async_callback(store.close)
        await stack.enter_async_context(logging_events(store))
        rails = await _load_rails(directory, settings, store)
        forges = ForgeConnections(settings)
        stack.push_async_callback(forges.close)
        checkouts = Checkouts(state_dir, forges.git_credential, settings.daemon.checkouts_dir)
        executors, owner = build_executors(settings.executors), new_id()
        taken_over = await recover_running_jobs(store, checkouts, owner, settings.repository, rails.at)
        health = HealthMonitor(executors, partial(_profiles_of, rails))
        current_limits = partial(_current_limits, rails, health, settings.daemon)
        accounts = await KeptAccounts.open(store)
        permissions = await Permissions.open(store, forges.apis)
        evaluator = Evaluator(settings, accounts.ids, forges.can_push, permissions.known, accounts.own)
        runner = Runner(
            store,
            settings,
            rails.at,
            Reevaluator(store, rails, evaluator, permissions).rule,
            executors,
            checkouts,
            owner,
            current_limits,
            health.report_unreachable,
            forges.minted_secrets,
            forges.find_head,
        )
        scheduler = Scheduler(store, runner.run, current_limits, settings.daemon.workers)
        queue = Queue(state_dir / "queue.db", settings.daemon.workers, scheduler.run_job, partial(_next_jobs, store))
        approvals = Approvals(store, rails, evaluator, queue.put_job, permissions)
        deciding = Deciding(store, settings, permissions)
        instance = await _instance(store)
        feed = EventFeed(store)
        state = AppState(
            settings=settings,
            store=store,
            rails=rails,
            evaluator=evaluator,
            intake=Intake(
                store,
                settings,
                rails,
                evaluator,
                ThreadCommands(store, approvals, queue.put_job, runner.cancel),
                accounts,
                queue,
                deciding,
            ),
            dispatcher=Dispatcher(store, settings, rails, evaluator, queue),
            approvals=approvals,
            accounts=accounts,
            commands=JobCommands(store, queue, runner, rails),
            feed=feed,
            meta=Meta(VERSION, API_VERSION, instance, os.getpid(), format_timestamp(now_ms())),
            health=health,
            pollers=Pollers(store, settings, forges),
            reporter=Reporter(store, settings, rails, forges, accounts, permissions.known, instance),
        )
        await stack.enter_async_context(health.running())
        await state.reporter.begin()  # before the first delivery, which is to be answered
        local = await _start_http(state, socket, stack)
        await health.wait_until_checked()  # a webhook need not wait for it, but a job should find its executor there
        await queue.start(taken_over)
        stack.push_async_callback(queue.stop)
        for part in (
            deciding.running(state.intake.decide),
            state.reporter.running(state.supervision),
            state.pollers.running(state.intake.take, state.supervision),
            LoopWatch().running(),
            manager.watching(lambda: store.is_alive),
        ):
            await stack.enter_async_context(part)
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "the queue's health": queue.keep_healthy,
            "the scheduler": partial(scheduler.run, queue.put),
            "the expiry of approvals": approvals.expire_forever,
            "the pins of heads": partial(pin_heads, store, settings, checkouts),
            "retention": partial(run_retention, store, settings, checkouts),
            "the watch of the rails": partial(
                watch_rails, rails.path, rails.reload_requested, partial(reload_rails, rails)
            ),
            "the memory's management": manage_memory,
            "the watch of the socket": partial(keep_socket, local, socket, stack),
        }
        background = [asyncio.create_task(state.supervision.keep_running(*part)) for part in parts.items()]
        feeding = asyncio.create_task(state.supervision.keep_running("the event feed", feed.run))
        await stop.wait()
        _begin_stop(state, manager)
        for task in background:
            task.cancel()
        queue.hold()
        await runner.stop(settings.daemon.grace)
        feed.close()
        feeding.cancel()


async def _open_store(settings: Settings) -> Store:
    if settings.store.dsn is None:
        return await open_sqlite(Path(settings.daemon.state_dir) / DATABASE)
    try:
        from stitcherd.store.postgres import open_postgres  # noqa: PLC0415 (its driver is an extra)
    except ModuleNotFoundError as error:
        raise UnusableDatabase(f"store.kind postgres needs {error.name}: install stitcher[postgres]") from None
    return await open_postgres(settings.store.dsn)


def _begin_stop(state: AppState, manager: ServiceManager) -> None:
    log.info("stopping; a second signal ends the daemon at once")
    manager.notify("STOPPING=1")
    state.stopping_since = format_timestamp(now_ms())


async def _next_jobs(store: Store, limit: int) -> list[tuple[str, int, int]]:
    async with store.reading() as db:
        return await jobs.next_jobs(db, limit)


async def _instance(store: Store) -> str:
    async with store.reading() as db:
        return await events.instance(db)


async def reload_rails(rails: LiveRails) -> bool:
    """Reload the rails; return False, to try again soon, if the file is being written or nothing can be stored."""
    try:
        return await rails.reload()
    except StorageUnavailable as error:
        log.error("the rails were read, but could not be stored (%s); trying again", error)  # noqa: TRY400 (no bug of ours)
        return False


async def keep_socket(local: web.AppRunner, socket: LocalSocket, stack: AsyncExitStack) -> None:
    """Bind the socket again whenever somebody removed or replaced it, for ever; listen until `stack` closes."""
    logged = ""
    while True:
        await asyncio.sleep(SOCKET_CHECK_SECONDS)
        if not socket.is_lost():
            continue
        try:
            stack.callback((await listen_locally(local, socket.bind_again())).close)
            log.warning("the socket %s was removed, and is bound again", socket.path)
        except (UnusableSocketPath, LockHeld) as error:
            if str(error) != logged:
                log.error("the socket %s was removed: %s; trying again", socket.path, error)  # noqa: TRY400 (no bug of ours)
            logged = str(error)


async def _load_rails(directory: Path, settings: Settings, store: Store) -> LiveRails:
    """Return the rails, loaded, and reloaded on SIGHUP; log the warnings of both files."""
    path = directory / locations.RAILS_FILE
    rails = LiveRails(path, StoredRevisions(store), rails_context(directory, settings))
    await rails.reload()
    for warning in settings.warnings:
        log.warning("%s", warning)
    for missing in machine_warnings(rails.current, settings) if rails.current else ():
        log.warning("%s:%d: %s", locations.RAILS_FILE, missing.line, missing.message)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, rails.reload_requested.set)
    return rails


def _profiles_of(rails: LiveRails, executor: str) -> list[ProfileRule]:
    """Return the profiles of the current rails whose jobs run on an executor."""
    types = rails.current.jobs.values() if rails.current else ()
    return [job.profile for job in types if job.profile.executor == executor]


def _current_limits(rails: LiveRails, health: HealthMonitor, daemon: DaemonSettings) -> ConcurrencyLimits:
    """Return what may run now, whatever rails the jobs were decided under."""
    current = rails.current
    rules, digest = (current.limits, current.digest) if current else (None, None)
    return concurrency_limits(rules, health.away(), idle_reason(current) or shortage_reason(daemon), digest)


async def _start_http(state: AppState, socket: LocalSocket, stack: AsyncExitStack) -> web.AppRunner:
    """Listen on the bound Unix socket and on TCP until `stack` closes; return the runner of the local app."""
    start_at_zero(state.settings.sources, state.settings.executors)
    local = web.AppRunner(local_app(state), shutdown_timeout=HTTP_SHUTDOWN_SECONDS)
    public = web.AppRunner(public_app(state), shutdown_timeout=HTTP_SHUTDOWN_SECONDS)
    for runner in (local, public):
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
    stack.callback((await listen_locally(local, socket.listener)).close)
    http = state.settings.http
    server = await listen(public, http.host, http.port)
    stack.callback(server.close)
    port = server.sockets[0].getsockname()[1]  # the kernel chose it if the settings say 0
    log.info("listening on %s and http://%s:%d", state.settings.daemon.socket, http.host, port)
    return local
