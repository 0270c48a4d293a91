"""`stitcherd`: reads its arguments and settings, builds the house from the bottom up, runs until a signal."""

import argparse
import asyncio
import logging
import os
import signal
import sqlite3
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from aiohttp import web

from shared import VERSION, locations
from shared.ids import new_id, now_ms, stamp
from shared.models import Meta
from shared.protocol import API
from stitcherd import lock, processes, socket_door
from stitcherd.api.doors import operators_door, public_door
from stitcherd.api.house import House
from stitcherd.checkout import Checkouts
from stitcherd.executors import kinds
from stitcherd.feed import Feed
from stitcherd.intake import Intake
from stitcherd.queue import Queue
from stitcherd.rails import file as rails_file
from stitcherd.rails.faults import RailsError
from stitcherd.rails.in_force import RailsInForce
from stitcherd.recovery import recover
from stitcherd.runner import Runner
from stitcherd.settings import Settings, load
from stitcherd.settings_faults import SettingsError
from stitcherd.store import reads
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.sqlite import Store
from stitcherd.upkeep import upkeep

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
    logging.getLogger("huey").setLevel(logging.WARNING)
    os.umask(0o077)
    try:
        asyncio.run(serve(directory, settings))
    except (lock.Held, socket_door.UnsafePlace, NewerDatabase, OSError, sqlite3.Error) as fault:
        print(f"stitcherd: {fault}", file=sys.stderr)
        return 1
    return 0


def check(rails: Path, settings: Settings) -> int:
    """Print what is wrong with the files, or that nothing is; returns the exit code."""
    for noticed in settings.warnings:
        print(noticed, file=sys.stderr)
    try:
        rulebook = rails_file.load(rails, secret_names=settings.secret_names)
    except RailsError as error:
        for fault in error.others:
            print(f"{error.name}:{fault.line}:{fault.column}: {fault.message}", file=sys.stderr)
        return 2
    for warning in rulebook.warnings:
        print(f"{rails.name}:{warning.line}:{warning.column}: warning: {warning.message}", file=sys.stderr)
    print(f"stitcherd.toml and rails.yaml are good; the rails are {rulebook.revision}")
    return 0


async def serve(directory: Path, settings: Settings) -> None:
    """Build the house, open its doors, and close them again after SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: os._exit(1) if stop.is_set() else stop.set())
    processes.become_subreaper()
    processes.not_dumpable()
    loop.add_signal_handler(signal.SIGCHLD, processes.reap_orphans)
    state = Path(settings.daemon.state_dir)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    for warning in settings.warnings:
        log.warning("%s", warning)
    async with AsyncExitStack() as closing:
        closing.enter_context(lock.take(state / "lock", f"state directory {state}"))
        socket, held = socket_door.bind(Path(settings.daemon.socket))
        closing.callback(Path(settings.daemon.socket).unlink, missing_ok=True)
        closing.enter_context(held)
        store = await Store.open(state / "stitcher.db")
        closing.push_async_callback(store.close)
        rails = RailsInForce(directory / locations.RAILS, store, settings.secret_names)
        await rails.reload()
        loop.add_signal_handler(signal.SIGHUP, lambda: asyncio.ensure_future(rails.reload()))
        checkouts = Checkouts(state)
        await recover(store, checkouts)
        runner = Runner(store, settings, rails.at, kinds.build(settings.executors), checkouts, owner=new_id())
        queue = Queue(state / "queue.db", settings.daemon.workers, runner.run)
        intake = Intake(store, settings, rails, queue, runner)
        async with store.reading() as db:
            waiting = await reads.waiting(db)
            instance = await reads.instance(db)
        feed = Feed(store)
        meta = Meta(VERSION, API, instance, os.getpid(), stamp(now_ms()))
        house = House(settings, store, rails, intake, runner, feed, meta)
        for app, site in (
            (operators_door(house), lambda door: web.SockSite(door, socket)),
            (public_door(house), lambda door: web.TCPSite(door, settings.http.host, settings.http.port)),
        ):
            door = web.AppRunner(app, auto_decompress=False, access_log=None, shutdown_timeout=1.0)
            await door.setup()
            closing.push_async_callback(door.cleanup)
            await site(door).start()
        queue.start()
        closing.push_async_callback(queue.stop)
        refill = asyncio.create_task(queue.refill(waiting))
        maintain = asyncio.create_task(upkeep(store, settings, checkouts))
        follow = asyncio.create_task(feed.run())
        log.info("listening on %s and http://%s:%d", settings.daemon.socket, settings.http.host, settings.http.port)
        await stop.wait()
        log.info("stopping")
        house.stopping = True
        maintain.cancel()
        refill.cancel()
        queue.hold()
        await runner.stop(settings.daemon.grace)
        feed.close()
        follow.cancel()


if __name__ == "__main__":
    sys.exit(main())
