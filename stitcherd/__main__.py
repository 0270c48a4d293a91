"""`stitcherd`: reads its arguments and settings, builds the house from the bottom up, runs until a signal."""

import argparse
import asyncio
import logging
import os
import sqlite3
import sys
from pathlib import Path

from shared import VERSION, locations
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.daemon import SUPPORTED_KINDS, rails_context, requested_sandboxes, serve
from stitcherd.http import unix_socket
from stitcherd.processes import file_lock
from stitcherd.rails.load import RailsError, load_rails
from stitcherd.sandbox.bubblewrap import missing_sandbox_warnings
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.writer import StorageUnavailable

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
        settings = load_settings(directory, SUPPORTED_KINDS)
    except (SettingsError, locations.SocketPathTooLong) as fault:
        print(fault, file=sys.stderr)
        return 2
    if options.check:
        return check_files(directory / locations.RAILS_FILE, settings)
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
    except (
        file_lock.LockHeld,
        unix_socket.UnsafeSocketPath,
        NewerDatabase,
        StorageUnavailable,
        OSError,
        sqlite3.Error,
    ) as fault:
        print(f"stitcherd: {fault}", file=sys.stderr)
        return 1
    return 0


def check_files(rails: Path, settings: Settings) -> int:
    """Print what is wrong with the files, or that nothing is; returns the exit code."""
    for noticed in settings.warnings:
        print(noticed, file=sys.stderr)
    try:
        rulebook = load_rails(rails, rails_context(rails.parent, settings))
    except RailsError as error:
        for fault in error.others:
            print(f"{error.name}:{fault.line}:{fault.column}: {fault.message}", file=sys.stderr)
        return 2
    for warning in (*rulebook.warnings, *missing_sandbox_warnings(requested_sandboxes(rulebook))):
        print(f"{rails.name}:{warning.line}:{warning.column}: warning: {warning.message}", file=sys.stderr)
    print(f"stitcherd.toml and rails.yaml are good; the rails are {rulebook.revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
