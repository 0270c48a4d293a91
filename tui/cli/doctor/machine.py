"""Checks of the machine: the programs that Stitcher runs, the sandbox, SQLite, the clock and the state directory."""

import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shared import ids
from shared.checks import CheckResult, info, ok, problem, warning
from shared.locations import RAILS_FILE
from shared.units import format_size
from tui.cli import bubblewrap
from tui.cli.doctor.settings import SettingsSummary
from tui.text.plain import plain

_COMMAND_TIMEOUT = 5.0  # seconds for a program that only reports its version or state
_WAL_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # https://sqlite.org/wal.html#walresetbug; the last two backported
_SKEW = "signatures with a timestamp are refused from a skew of 5 minutes"
_NAMESPACE_SETTINGS = {  # kernel settings, the value that forbids user namespaces, and the remedy
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "give bwrap an AppArmor profile with `userns`"),
}

_STATE_DIRECTORY = "state directory"
_DISK_PROBLEM = 100 * 2**20  # bytes below which the next job's checkout may not fit
_DISK_WARNING = 2**30
_NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph", "glusterfs"}


def check_git() -> Iterator[CheckResult]:
    """Check that git runs."""
    version = _first_line(["git", "--version"])
    if version is None:
        yield problem("git", "git is missing or does not run", "on Debian: apt-get install git")
    else:
        yield ok("git", version)


def check_sandbox(config: Path) -> Iterator[CheckResult]:
    """Check that bubblewrap can create namespaces; if not, that is a problem only if the rails use it."""
    reason = bubblewrap.unavailable_reason()
    if reason is None:
        yield ok("sandbox", _first_line(["bwrap", "--version"]) or "bubblewrap works")
        return
    remedy = "on Debian: apt-get install bubblewrap" if shutil.which("bwrap") is None else _namespace_remedy()
    if _uses_sandbox(config):
        yield problem("sandbox", f"{RAILS_FILE} uses bwrap, which does not work: {plain(reason)}", remedy)
    else:
        detail = f"bwrap does not work: {plain(reason)}; agents and gates can only run without it"
        yield warning("sandbox", detail, remedy)


def check_executors(settings: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Check the program of each executor that has an `argv`; one with a `url` only if no daemon checks it itself."""
    for name, table in settings.executors.items():
        argv, url = table.get("argv"), table.get("url")
        if isinstance(argv, list) and argv:
            yield program_result(f"program {plain(name)}", str(argv[0]), f"executors.{plain(name)}")
        elif isinstance(url, str) and not daemon_runs:
            yield _gateway_result(plain(name), url)


def program_result(name: str, program: str, setting: str) -> CheckResult:
    """Return whether a program that a setting names is there, and is executable."""
    found = shutil.which(program)
    if found:
        return ok(name, plain(found))
    if "/" in program and Path(program).exists():
        return problem(name, f"{plain(program)} is not executable", f"chmod +x {plain(shlex.quote(program))}")
    remedy = f"put it on the PATH of stitcherd, or use its absolute path in {setting}"
    return problem(name, f"there is no program {plain(program)}", remedy)


def _gateway_result(name: str, url: str) -> CheckResult:
    try:
        parts = urlsplit(url)
        port = parts.port or {"ws": 80, "wss": 443}.get(parts.scheme, 0)
        socket.create_connection((parts.hostname or "", port), _COMMAND_TIMEOUT).close()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return problem(f"gateway {name}", f"nothing answers at {plain(url)}: {plain(reason)}", "start the gateway")
    return info(f"gateway {name}", f"something answers at {plain(url)}; stitcherd will check whether it is usable")


def check_sqlite() -> Iterator[CheckResult]:
    """Report the version of Python's SQLite."""
    version = sqlite3.sqlite_version_info
    if version >= _WAL_FIXED[0] or any(version[:2] == fixed[:2] and version >= fixed for fixed in _WAL_FIXED):
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    race = "before 3.51.3 checkpoints of two connections may race; only Stitcher's single writer makes checkpoints"
    remedy = "let no other program write to stitcher.db while stitcherd runs"
    yield info("sqlite", f"{sqlite3.sqlite_version}: {race}", remedy)


def check_clock() -> Iterator[CheckResult]:
    """Report the time, and whether the clock is synchronised."""
    now = f"it is {ids.format_timestamp(ids.now_ms())}"
    synchronised = _first_line(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes":
        yield ok("clock", f"{now}, synchronised")
    elif synchronised == "no":
        yield warning("clock", f"{now}, not synchronised: {_SKEW}", "timedatectl set-ntp true")
    else:
        yield info("clock", f"{now}; whether it is synchronised is unknown, and {_SKEW}")


def check_state_directory(state: Path) -> Iterator[CheckResult]:
    """Check the owner, mode, free space and file system of the state directory, or of where it will be created."""
    existing = next(path for path in (state, *state.parents) if path.exists())
    shown, quoted = plain(str(state)), plain(shlex.quote(str(state)))
    found = existing.stat()
    if existing != state and not os.access(existing, os.W_OK | os.X_OK):
        detail = f"{shown} does not exist and cannot be created in {plain(str(existing))}"
        yield problem(_STATE_DIRECTORY, detail, "choose another daemon.state_dir")
        return
    if not existing.is_dir():
        yield problem(_STATE_DIRECTORY, f"{plain(str(existing))} is not a directory", "choose another daemon.state_dir")
        return
    if existing == state and found.st_uid != os.getuid():
        remedy = f"chown -R {os.getuid()} {quoted}, or run as that user"
        yield problem(_STATE_DIRECTORY, f"{shown} belongs to another user", remedy)
    elif existing == state and found.st_mode & 0o077:
        detail = f"{shown} is open to others: it contains logs and webhook bodies"
        yield warning(_STATE_DIRECTORY, detail, f"chmod 700 {quoted}")
    else:
        yield ok(_STATE_DIRECTORY, shown if existing == state else f"{shown} will be created when stitcherd starts")
    yield _disk_space(existing)
    kind = _filesystem_type(existing)
    if kind in _NETWORK_FILESYSTEMS:
        remedy = "choose a daemon.state_dir on a local disk"
        yield problem(_STATE_DIRECTORY, f"{shown} is on {kind}, where SQLite's write-ahead log does not work", remedy)


def _disk_space(path: Path) -> CheckResult:
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    detail = f"{format_size(free)} free"
    remedy = "free some space, or shorten retention.events in stitcherd.toml"
    if free < _DISK_PROBLEM or (disk.f_files and not disk.f_favail):
        detail = f"{detail}, room for {disk.f_favail:,} files: webhooks are answered 503 when it is full"
        return problem("disk", detail, remedy)
    return warning("disk", detail, remedy) if free < _DISK_WARNING else ok("disk", detail)


def _filesystem_type(path: Path) -> str:
    """Return the type of the file system of a path, or an empty string if it is unknown (proc(5))."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    longest, kind = 0, ""
    real = str(path.resolve())
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:
            longest, kind = len(point), after.split()[0]
    return kind


def _uses_sandbox(config: Path) -> bool:
    try:
        lines = (config / RAILS_FILE).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any("bwrap" in line.partition("#")[0] for line in lines)


def _namespace_remedy() -> str:
    for name, (forbidding, remedy) in _NAMESPACE_SETTINGS.items():
        try:
            if Path(name).read_text("ascii").strip() == forbidding:
                return f"{name} is {forbidding}: {remedy}"
        except OSError:
            continue
    return "allow this user to create user namespaces; in a container, the container must allow them"


def _first_line(argv: list[str]) -> str | None:
    """Return the first line that a program prints, or None if it is missing or fails."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return plain(lines[0]) if lines and not done.returncode else None
