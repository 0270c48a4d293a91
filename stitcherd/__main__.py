"""`stitcherd`: reads its arguments and settings, builds the house from the bottom up, runs until a signal."""

import argparse
import asyncio
import logging
import os
import resource
import signal
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from socket import socket as Socket  # noqa: N812 (a class, whatever its case)

from aiohttp import web
from msgspec.structs import replace

from shared import VERSION, locations
from shared.house import Meta
from shared.ids import new_id, now_ms, stamp
from shared.protocol import API
from stitcherd import heap, lock, processes, socket_door
from stitcherd.api.doors import operators_door, public_door
from stitcherd.api.house import House
from stitcherd.api.listening import SPEECH, listen
from stitcherd.bulk import Bulk
from stitcherd.executors import kinds
from stitcherd.executors.watch import Watch
from stitcherd.feed import Feed
from stitcherd.git.checkouts import Checkouts
from stitcherd.intake import Intake
from stitcherd.judge import abilities
from stitcherd.queue import Queue
from stitcherd.rails import file as rails_file
from stitcherd.rails.faults import RailsError
from stitcherd.rails.in_force import RailsInForce
from stitcherd.rails.rulebook import Profile, Rulebook
from stitcherd.rails.watch import watch
from stitcherd.recovery import recover
from stitcherd.runner import Runner
from stitcherd.sandbox import Box
from stitcherd.sandbox.lacking import lacking
from stitcherd.settings import Settings, load
from stitcherd.settings.faults import SettingsError
from stitcherd.store import reads
from stitcherd.store.limits import Slots
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable
from stitcherd.turns import Turns
from stitcherd.upkeep import upkeep

CLOSING_SECONDS = 1.0  # for answers that are under way when a door closes
FILES = 16_384

log = logging.getLogger("stitcherd")


def main() -> int:
    """Run the daemon; returns 0 after a clean stop, 1 where it could not run, 2 for settings that are wrong."""
    parser = argparse.ArgumentParser(prog="stitcherd", description="The daemon of Stitcher, in the foreground.")
    parser.add_argument("--config", metavar="DIR", help="the directory of stitcherd.toml and rails.yaml")
    parser.add_argument("--check", action="store_true", help="validate both files and exit")
    parser.add_argument("--version", action="version", version=f"stitcherd {VERSION}")
    options = parser.parse_args()
    directory = locations.config_dir(options.config)
    try:
        settings = load(directory)
    except (SettingsError, locations.PathTooLong) as fault:
        print(fault, file=sys.stderr)
        return 2
    if options.check:
        return check(directory / locations.RAILS, settings)
    stamped = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=logging.INFO, format=f"{stamped}%(levelname)s %(name)s: %(message)s")
    for library in ("huey", "watchfiles"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # what strangers send is no news
    os.umask(0o077)
    for name in settings.secret_names:
        os.environ.pop(name, None)  # they are read; no child of ours may inherit them by mistake
    try:
        asyncio.run(serve(directory, settings))
    except (lock.Held, socket_door.UnsafePlace, NewerDatabase, StorageUnavailable, OSError, sqlite3.Error) as fault:
        print(f"stitcherd: {fault}", file=sys.stderr)
        return 1
    return 0


def check(rails: Path, settings: Settings) -> int:
    """Print what is wrong with the files, or that nothing is; returns the exit code."""
    for noticed in settings.warnings:
        print(noticed, file=sys.stderr)
    try:
        rulebook = rails_file.load(
            rails,
            secret_names=settings.secret_names,
            private=(rails.parent, *settings.private),
            facts=abilities(settings),
        )
    except RailsError as error:
        for fault in error.others:
            print(f"{error.name}:{fault.line}:{fault.column}: {fault.message}", file=sys.stderr)
        return 2
    for warning in (*rulebook.warnings, *lacking(boxes(rulebook))):
        print(f"{rails.name}:{warning.line}:{warning.column}: warning: {warning.message}", file=sys.stderr)
    print(f"stitcherd.toml and rails.yaml are good; the rails are {rulebook.revision}")
    return 0


def boxes(rulebook: Rulebook) -> Iterator[tuple[int, str, Box | None]]:
    """Yield the sandboxes that jobs ask for: the line, who asks there, and for what."""
    for job in rulebook.jobs.values():
        yield job.profile.line, f"profile {job.profile.name}", job.profile.box
        yield from ((gate.line, f"gate {gate.name}", gate.box) for gate in job.gates)


def lacks(rulebook: Rulebook | None) -> list[str]:
    """Return what rails ask of this machine in vain."""
    found = lacking(boxes(rulebook)) if rulebook else ()
    return [f"{locations.RAILS}:{lack.line}: {lack.message}" for lack in found]


def warn(sentences: Iterable[str]) -> None:
    """Log each as a warning."""
    for sentence in sentences:
        log.warning("%s", sentence)


async def serve(directory: Path, settings: Settings) -> None:
    """Build the house, open its doors, and close them again after SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: os._exit(1) if stop.is_set() else stop.set())
    raise_limit_of_files()
    processes.become_subreaper()
    processes.not_dumpable()
    loop.add_signal_handler(signal.SIGCHLD, processes.reap_orphans)
    state = Path(settings.daemon.state_dir)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    async with AsyncExitStack() as closing:
        closing.enter_context(lock.take(state / "lock", f"state directory {state}"))
        socket, held = socket_door.bind(Path(settings.daemon.socket))
        closing.callback(Path(settings.daemon.socket).unlink, missing_ok=True)
        closing.enter_context(held)
        store = await Store.open(state / "stitcher.db")
        closing.push_async_callback(store.close)
        rails = RailsInForce(
            directory / locations.RAILS,
            store,
            settings.secret_names,
            (directory, *settings.private),
            abilities(settings),
        )
        await rails.reload()
        warn([*settings.warnings, *lacks(rails.current)])
        loop.add_signal_handler(signal.SIGHUP, rails.look_again.set)
        checkouts = Checkouts(state)
        executors, owner = kinds.build(settings.executors), new_id()
        taken_over = await recover(store, checkouts, owner)
        health = Watch(executors, lambda name: profiles(rails, name))
        slots = partial(may_run, rails, health)
        runner = Runner(store, settings, rails.at, executors, checkouts, owner, slots, health.missed)
        turns = Turns(store, runner.run, slots, settings.daemon.workers)
        queue = Queue(state / "queue.db", settings.daemon.workers, turns.run)
        intake = Intake(store, settings, rails, queue, runner)
        async with store.reading() as db:
            waiting = await reads.waiting(db)
            instance = await reads.instance(db)
        feed = Feed(store)
        meta = Meta(VERSION, API, instance, os.getpid(), stamp(now_ms()))
        house = House(settings, store, rails, intake, Bulk(store, queue, runner), runner, feed, meta, health)
        await closing.enter_async_context(health.looking())
        await open_doors(house, socket, closing)
        await health.looked()  # webhooks need not wait for it, but a job should find its executor there
        queue.start()
        closing.push_async_callback(queue.stop)
        chores = [
            asyncio.create_task(queue.refill(taken_over + waiting)),
            asyncio.create_task(turns.call(queue.put)),
            asyncio.create_task(intake.approvals.expiring()),
            asyncio.create_task(upkeep(store, settings, checkouts)),
            asyncio.create_task(watch(rails.path, rails.look_again, rails.reload)),
            asyncio.create_task(heap.keep_small()),
        ]
        follow = asyncio.create_task(feed.run())
        await stop.wait()
        log.info("stopping")
        house.stopping_since = stamp(now_ms())
        for chore in chores:
            chore.cancel()
        queue.hold()
        await runner.stop(settings.daemon.grace)
        feed.close()
        follow.cancel()


def profiles(rails: RailsInForce, executor: str) -> list[Profile]:
    """Return the profiles under which the rails in force ask an executor for jobs."""
    jobs = rails.current.jobs.values() if rails.current else ()
    return [job.profile for job in jobs if job.profile.executor == executor]


def may_run(rails: RailsInForce, health: Watch) -> Slots:
    """Return what may run now."""
    return replace(rails.slots(), away=health.away())


async def open_doors(house: House, socket: Socket, closing: AsyncExitStack) -> None:
    """Listen on the bound Unix socket and on TCP until `closing` closes."""
    local = web.AppRunner(operators_door(house), **SPEECH, shutdown_timeout=CLOSING_SECONDS, keepalive_timeout=3600.0)
    public = web.AppRunner(public_door(house), shutdown_timeout=CLOSING_SECONDS)
    for door in (local, public):
        await door.setup()
        closing.push_async_callback(door.cleanup)
    await web.SockSite(local, socket).start()
    http = house.settings.http
    closing.callback((await listen(public, http.host, http.port)).close)
    log.info("listening on %s and http://%s:%d", house.settings.daemon.socket, http.host, http.port)


def raise_limit_of_files() -> None:
    """Take as many file descriptors as we may have, within reason: strangers' connections must not starve jobs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


if __name__ == "__main__":
    sys.exit(main())
