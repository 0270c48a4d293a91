"""The command `stitcherd`: parses its arguments, checks or loads its files, and runs the daemon."""

import gc

gc.disable()  # what an import makes stays: to look for garbage among it would take a sixth of the start

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared import VERSION, locations
from shared.environment_file import UnreadableEnvironment, read_environment
from shared.streams import open_missing_streams
from stitcherd import crash_points, processes
from stitcherd.config.load import SettingsError, load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS, machine_warnings, rails_context
from stitcherd.crash_points import UnknownCrashPoint
from stitcherd.daemon import serve
from stitcherd.execution import ClockSkew
from stitcherd.forges.app_credentials import AppUnusable
from stitcherd.git.checkout import UnusableCheckouts
from stitcherd.http.server import AddressUnavailable
from stitcherd.http.unix_socket import UnusableSocketPath
from stitcherd.jobs.free_space import shortage_reason
from stitcherd.jobs.rails_cases import run_cases
from stitcherd.log_output import FORMATS, configure_log
from stitcherd.processes.file_lock import LockHeld, acquire_lock
from stitcherd.rails.cases import load_cases
from stitcherd.rails.load import RailsError, load_rails
from stitcherd.store import backup
from stitcherd.store.daemons import CannotJoin
from stitcherd.store.errors import StorageUnavailable, UnusableDatabase
from stitcherd.store.migrate import NewerDatabase
from stitcherd.store.opening import DamagedDatabase
from stitcherd.store.sqlite import DATABASE
from stitcherd.worker import serve_worker

gc.freeze()
gc.enable()

UNUSABLE_SETTINGS = (
    SettingsError,
    UnknownCrashPoint,
    UnreadableEnvironment,
    locations.SocketPathTooLong,
    locations.NoHomeDirectory,
)


def main() -> int:
    """Run the daemon; return 0 after a clean stop, 1 if it could not run, 2 for wrong settings."""
    open_missing_streams()
    options = build_parser().parse_args()
    try:
        directory = locations.config_dir(options.config)
        if options.command == "restore":
            return restore_backup(Path(options.file), directory)
        if options.command == "store":
            return copy_store(options.to, directory, dry_run=options.dry_run)
        set_variables(directory)
        settings = load_settings(directory, SUPPORTED_KINDS, is_worker=options.command == "worker")
        crash_points.arm(os.environ)
    except UNUSABLE_SETTINGS as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        return check_files(directory / locations.RAILS_FILE, settings)
    if options.command == "worker" and not settings.store.is_shared:
        print('stitcherd: a worker needs a store in PostgreSQL, [store] kind = "postgres"', file=sys.stderr)
        return 2
    configure_log(options.log_format)
    return run_daemon(directory, settings, serve_worker if options.command == "worker" else serve)


def run_daemon(
    directory: Path, settings: Settings, run: Callable[[Path, Settings], Coroutine[None, None, None]]
) -> int:
    """Run a daemon, or a worker, until it is stopped; return the exit code."""
    if settings.missing:
        log = logging.getLogger("stitcherd")
        log.warning("there is no %s in %s: stitcher init writes a first one", locations.SETTINGS_FILE, directory)
    processes.restrict_umask()
    for name in settings.secret_names:
        os.environ.pop(name, None)  # they were read; no child may inherit them by mistake
    try:
        asyncio.run(run(directory, settings))
    except AppUnusable as error:
        print(f"{locations.SETTINGS_FILE}: {error}", file=sys.stderr)
        return 2
    except (
        LockHeld,
        UnusableDatabase,
        UnusableSocketPath,
        UnusableCheckouts,
        NewerDatabase,
        DamagedDatabase,
        AddressUnavailable,
        ClockSkew,
        CannotJoin,
    ) as error:
        print(f"stitcherd: {error}", file=sys.stderr)
        return 1
    except (StorageUnavailable, OSError) as error:
        print(f"stitcherd: {_storage_fault(error, settings)}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to interrupt but the end of the interpreter
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="stitcherd", description="The daemon of Stitcher, in the foreground.")
    config_help = "the directory of stitcherd.toml and rails.yaml"
    parser.add_argument("--config", metavar="DIR", help=config_help)
    parser.add_argument("--check", action="store_true", help="validate both files and exit")
    parser.add_argument("--log-format", choices=FORMATS, default="text", help="the form of the log on stderr")
    parser.add_argument("--version", action="version", version=f"stitcherd {VERSION}")
    commands = parser.add_subparsers(title="instead of a daemon", dest="command", metavar="COMMAND")
    worker = _add_command(commands, "worker", "run jobs of a store in PostgreSQL, without listening for anything")
    worker.add_argument("--config", metavar="DIR", default=argparse.SUPPRESS, help=config_help)
    restore = _add_command(commands, "restore", "replace the database by a backup, while no daemon runs")
    restore.add_argument("file", metavar="FILE", help="what stitcher backup has written")
    restore.add_argument("--config", metavar="DIR", default=argparse.SUPPRESS, help=config_help)
    store = _add_command(commands, "store", "copy all data to another database, while no daemon runs")
    actions = store.add_subparsers(dest="action", metavar="copy", required=True)
    copy = _add_command(actions, "copy", "copy the SQLite file and the logs to an empty PostgreSQL database")
    copy.add_argument(
        "--to", metavar="DSN", required=True, help="the connection string; PGPASSWORD may have a password"
    )
    copy.add_argument("--dry-run", action="store_true", help="say what would be copied, and write nothing")
    copy.add_argument("--config", metavar="DIR", default=argparse.SUPPRESS, help=config_help)
    return parser


def _add_command(commands: Any, name: str, about: str) -> argparse.ArgumentParser:
    """Return the parser of a new command."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=f"{about[0].upper()}{about[1:]}."
    )
    return parser


def set_variables(directory: Path) -> None:
    """Set the variables of the environment file that are not set already; raises UnreadableEnvironment."""
    for name, value in read_environment(directory).items():
        os.environ.setdefault(name, value)


def _storage_fault(error: Exception, settings: Settings) -> str:
    """Return why the state directory, or the database, cannot be used, and the remedy."""
    if settings.store.dsn is not None and isinstance(error, StorageUnavailable):
        return f"the database of store.dsn cannot be used: {error}"
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
    """Print the errors and warnings of both files, and the cases of the rails that fail; return the exit code."""
    for sentence in settings.warnings:
        print(sentence, file=sys.stderr)
    tests = path.with_name(locations.RAILS_TEST_FILE)
    try:
        rails = load_rails(path, rails_context(path.parent, settings))
        results = run_cases(load_cases(tests), rails, settings) if tests.exists() else ()
    except RailsError as error:
        print(*error.lines, sep="\n", file=sys.stderr)
        return 2
    for warning in (*rails.warnings, *machine_warnings(rails, settings)):
        print(f"{path.name}:{warning.line}:{warning.column}: warning: {warning.message}", file=sys.stderr)
    failed = [result for result in results if not result.ok]
    for result in failed:
        sentence = f"{result.name}: expected {result.expected}, found {result.found}"
        print(f"{tests.name}:{result.line}:1: {sentence}", file=sys.stderr)
    if failed:
        return 2
    passed = f"; {len(results)} cases of {tests.name} passed" if results else ""
    print(f"stitcherd.toml and rails.yaml are valid; the rails are {rails.revision}{passed}")
    return 0


def copy_store(dsn: str, directory: Path, *, dry_run: bool) -> int:
    """Copy the state of a configuration directory to a PostgreSQL database; return 0, or 1 if nothing was copied."""
    try:
        from stitcherd import store_copy  # noqa: PLC0415 (its driver is an extra)
    except ModuleNotFoundError as error:
        print(f"stitcherd: store copy needs {error.name}: install stitcher[postgres]", file=sys.stderr)
        return 1
    return store_copy.copy_store(dsn, directory, dry_run=dry_run)


def restore_backup(file: Path, directory: Path) -> int:
    """Replace the database of a configuration directory by a backup; return 0, or 1 if nothing was changed."""
    if locations.store_kind(directory) == "postgres":
        print("stitcherd: the store is in PostgreSQL, which has its own backups: use pg_restore", file=sys.stderr)
        return 1
    processes.restrict_umask()
    state_dir = locations.state_dir(directory)
    database = state_dir / DATABASE
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with acquire_lock(state_dir / "lock", f"state directory {state_dir}"):
            kept = backup.restore(file, database, datetime.now(UTC).strftime("before-restore-%Y%m%dT%H%M%SZ"))
    except LockHeld as error:
        print(f"stitcherd: {error}: stop it first", file=sys.stderr)
        return 1
    except (backup.UnusableBackup, OSError) as error:
        print(f"stitcherd: nothing was restored: {error}", file=sys.stderr)
        return 1
    before = f"; what was there before is {kept}" if kept else ""
    print(f"{database} is as in {file}{before}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
