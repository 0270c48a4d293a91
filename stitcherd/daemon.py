"""Wires the daemon's parts, runs them until a signal, and shuts them down."""

import asyncio
import logging
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from aiohttp import web

from shared import VERSION, locations
from shared.api import Meta
from shared.ids import format_timestamp, now_ms
from shared.protocol import API_VERSION
from stitcherd.config.settings import Settings
from stitcherd.configuration import machine_warnings, rails_context
from stitcherd.event_log import logging_events
from stitcherd.execution import Part, build_execution, follow_rails, has_earlier_daemon, open_store, take_lease
from stitcherd.forges.connections import ForgeConnections
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
from stitcherd.jobs.free_space import make_room_at_start
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.lease import Lease
from stitcherd.jobs.permissions import Permissions
from stitcherd.jobs.reevaluation import Reevaluator
from stitcherd.jobs.retention import run_retention_of_files
from stitcherd.jobs.thread_commands import ThreadCommands
from stitcherd.leader import do_leaders_work, refresh_accounts
from stitcherd.metrics import start_at_zero
from stitcherd.own_process import configure_process, handle_signals, manage_memory
from stitcherd.polling.pollers import Pollers
from stitcherd.processes.file_lock import LockHeld, acquire_lock
from stitcherd.rails.live import LiveRails
from stitcherd.rails.watch import watch_rails
from stitcherd.reporting.reporter import Reporter
from stitcherd.service_manager import ServiceManager
from stitcherd.store import events
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.store import Store
from stitcherd.supervision import LoopWatch, Supervision, running_parts

HTTP_SHUTDOWN_SECONDS = 1.0  # for requests that are being answered when a listener closes
SOCKET_CHECK_SECONDS = 2.0  # between two looks whether the socket is still at its path

log = logging.getLogger("stitcherd")


async def serve(directory: Path, settings: Settings) -> None:
    """Run the daemon until SIGTERM or SIGINT; `directory` is that of the configuration.

    Raises LockHeld, AppUnusable, UnusableSocketPath, UnusableCheckouts, AddressUnavailable, NewerDatabase,
    DamagedDatabase, UnusableDatabase, ClockSkew, CannotJoin, StorageUnavailable, OSError.
    """
    stop, manager, supervision = handle_signals(), ServiceManager(os.environ), Supervision(StorageUnavailable)
    configure_process()
    state_dir, socket_path = Path(settings.daemon.state_dir), Path(settings.daemon.socket)
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        lock = stack.enter_context(acquire_lock(state_dir / "lock", f"state directory {state_dir}"))
        await make_room_at_start(settings.daemon)
        socket = LocalSocket(socket_path)
        stack.callback(socket.close)
        async with manager.starting():
            store = await open_store(settings)
        stack.push_async_callback(store.close)
        lease = await take_lease(store, settings, "daemon", lock)
        stack.push_async_callback(lease.leave)
        await stack.enter_async_context(logging_events(store))
        rails = await _load_rails(directory, settings, store, lease)
        forges = ForgeConnections(settings)
        stack.push_async_callback(forges.close)
        accounts = await KeptAccounts.open(store)
        permissions = await Permissions.open(store, forges.apis)
        evaluator = Evaluator(settings, accounts.ids, forges.can_push, permissions.known, accounts.own)
        rule = Reevaluator(store, rails, evaluator, permissions).rule
        execution = build_execution(store, settings, rails, forges, lease, rule)
        await stack.enter_async_context(running_parts(supervision, execution.lasting_parts))
        taken_over = await execution.recovery.recover(lease.owner)
        queue, runner = execution.queue, execution.runner
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
            outputs=execution.outputs,
            feed=feed,
            meta=Meta(VERSION, API_VERSION, instance, os.getpid(), format_timestamp(now_ms())),
            health=execution.health,
            pollers=Pollers(store, settings, forges),
            reporter=Reporter(store, settings, rails, forges, accounts, permissions.known, instance),
            supervision=supervision,
        )
        await stack.enter_async_context(execution.health.running())
        await state.reporter.begin()  # before the first delivery, which is to be answered
        local = await _start_http(state, socket, stack)
        await execution.health.wait_until_checked()  # a webhook need not wait, but a job should find its executor there
        await queue.start(taken_over)
        stack.push_async_callback(queue.stop)
        lead = partial(do_leaders_work, state, deciding=deciding, rule=rule, checkouts=execution.checkouts)
        for part in (
            execution.outputs.running(supervision),
            deciding.running(state.intake.decide),
            running_parts(supervision, {"the leader": partial(store.lead, lead)}),
            LoopWatch().running(),
            manager.watching(lambda: store.is_alive),
        ):
            await stack.enter_async_context(part)
        parts: dict[str, Part] = {
            **execution.parts,
            **(_parts_beside_others(state) if settings.store.is_shared else {}),
            "retention": partial(run_retention_of_files, store, settings, execution.checkouts),
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


def _parts_beside_others(state: AppState) -> dict[str, Part]:
    """Return what follows what other daemons of the store do."""
    return {
        "the rails of others": partial(follow_rails, state.rails, state.store),
        "the accounts": partial(refresh_accounts, state.accounts),
    }


def _begin_stop(state: AppState, manager: ServiceManager) -> None:
    log.info("stopping; a second signal ends the daemon at once")
    manager.notify("STOPPING=1")
    state.stopping_since = format_timestamp(now_ms())


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


async def _load_rails(directory: Path, settings: Settings, store: Store, lease: Lease) -> LiveRails:
    """Return the rails, loaded, and reloaded on SIGHUP; log the warnings of both files."""
    path = directory / locations.RAILS_FILE
    rails = LiveRails(path, StoredRevisions(store), rails_context(directory, settings))
    await rails.start(follow=await has_earlier_daemon(store, lease))
    if rails.differs:
        log.warning("%s differs from the rails that another daemon put in force: these are used", path)
    for warning in settings.warnings:
        log.warning("%s", warning)
    for missing in machine_warnings(rails.current, settings) if rails.current else ():
        log.warning("%s:%d: %s", locations.RAILS_FILE, missing.line, missing.message)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, rails.request_reload)
    return rails


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
