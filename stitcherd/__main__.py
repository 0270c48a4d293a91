"""The command `stitcherd`: parses its arguments, checks or loads its files, and runs the daemon."""

import argparse
import asyncio
import logging
import os
import sqlite3
import sys
from pathlib import Path

from shared import VERSION, locations
from shared.streams import open_missing_streams
from stitcherd import crash_points, processes
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.crash_points import UnknownCrashPoint
from stitcherd.daemon import SUPPORTED_KINDS, machine_warnings, rails_context, serve
from stitcherd.forges.app_credentials import AppUnusable
from stitcherd.git.checkout import UnusableCheckouts
from stitcherd.http.server import AddressUnavailable
from stitcherd.http.unix_socket import UnusableSocketPath
from stitcherd.jobs.free_space import shortage_reason
from stitcherd.processes.file_lock import LockHeld
from stitcherd.rails.load import RailsError, load_rails
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.opening import DamagedDatabase
from stitcherd.store.writer import StorageUnavailable


def main() -> int:
    """Run the daemon; return 0 after a clean stop, 1 if it could not run, 2 for wrong settings."""
    open_missing_streams()
    parser = argparse.ArgumentParser(prog="stitcherd", description="The daemon of Stitcher, in the foreground.")
    parser.add_argument("--config", metavar="DIR", help="the directory of stitcherd.toml and rails.yaml")
    parser.add_argument("--check", action="store_true", help="validate both files and exit")
    parser.add_argument("--version", action="version", version=f"stitcherd {VERSION}")
    options = parser.parse_args()
    try:
        directory = locations.config_dir(options.config)
        settings = load_settings(directory, SUPPORTED_KINDS)
        crash_points.arm(os.environ)
    except (SettingsError, UnknownCrashPoint, locations.SocketPathTooLong, locations.NoHomeDirectory) as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        return check_files(directory / locations.RAILS_FILE, settings)
    timestamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(level=logging.INFO, format=f"{timestamp}%(levelname)s %(name)s: %(message)s")
    for library in ("huey", "watchfiles"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # strangers' malformed requests
    if settings.missing:
        log = logging.getLogger("stitcherd")
        log.warning("there is no %s in %s: stitcher init writes a first one", locations.SETTINGS_FILE, directory)
    processes.restrict_umask()
    for name in settings.secret_names:
        os.environ.pop(name, None)  # they were read; no child may inherit them by mistake
    try:
        asyncio.run(serve(directory, settings))
    except AppUnusable as error:
        print(f"{locations.SETTINGS_FILE}: {error}", file=sys.stderr)
        return 2
    except (
        LockHeld,
        UnusableSocketPath,
        UnusableCheckouts,
        NewerDatabase,
        DamagedDatabase,
        AddressUnavailable,
    ) as error:
        print(f"stitcherd: {error}", file=sys.stderr)
        return 1
    except (StorageUnavailable, OSError, sqlite3.Error) as error:
        print(f"stitcherd: {_storage_fault(error, settings)}", file=sys.stderr)
        return 1
    return 0


def _storage_fault(error: Exception, settings: Settings) -> str:
    """Return why the state directory cannot be used, and the remedy."""
    state_dir = Path(settings.daemon.state_dir)
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    if shortage_reason(settings.daemon) is not None:
        remedy = "free some space there"
    elif "malformed" in reason:
        remedy = "start stitcherd again: it checks the whole database, keeps a copy, and says what can be done"
    elif "locked" in reason:
        remedy = "end the other program that uses stitcher.db there"
    else:
        remedy = "choose a directory of your own as daemon.state_dir in stitcherd.toml"
    return f"the state directory {state_dir} cannot be used: {where}{reason}; {remedy}"


def check_files(path: Path, settings: Settings) -> int:
    """Print the errors and warnings of both files; return the exit code."""
    for sentence in settings.warnings:
        print(sentence, file=sys.stderr)
    try:
        rails = load_rails(path, rails_context(path.parent, settings))
    except RailsError as error:
        for fault in error.others:
            print(f"{error.name}:{fault.line}:{fault.column}: {fault.message}", file=sys.stderr)
        return 2
    for warning in (*rails.warnings, *machine_warnings(rails, settings)):
        print(f"{path.name}:{warning.line}:{warning.column}: warning: {warning.message}", file=sys.stderr)
    print(f"stitcherd.toml and rails.yaml are valid; the rails are {rails.revision}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
