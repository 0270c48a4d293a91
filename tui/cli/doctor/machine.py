"""The programs that Stitcher runs, and what the machine itself may have against it."""

import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shared import ids
from shared.locations import RAILS_FILE
from tui.cli import bubblewrap
from tui.cli.doctor.result import CheckResult, info, ok, problem, warning
from tui.cli.doctor.settings import SettingsSummary
from tui.text.plain import plain

# merged from tui.doctor.state: The directory of all that the daemon keeps: whose it is, how much room it has,
# what kind of disk it lies on.

_COMMAND_TIMEOUT = 5.0  # seconds for a program that only says how it is
_WAL_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # https://sqlite.org/wal.html#walresetbug; the last two backported
_SKEW = "signatures with a time in them are refused from 5 minutes on"
_NAMESPACE_SETTINGS = {  # files of the kernel, the value in them that forbids, and what allows again
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "give bwrap an AppArmor profile with `userns`"),
}


def check_git() -> Iterator[CheckResult]:
    """Look for git."""
    said = _first_line(["git", "--version"])
    if said is None:
        yield problem("git", "there is no git that runs", "on Debian: apt-get install git")
    else:
        yield ok("git", said)


def check_sandbox(config: Path) -> Iterator[CheckResult]:
    """Look whether bubblewrap may make its namespaces; that it may not is a problem where the rails want it."""
    fault = bubblewrap.unavailable_reason()
    if fault is None:
        yield ok("sandbox", _first_line(["bwrap", "--version"]) or "bubblewrap works")
        return
    remedy = "on Debian: apt-get install bubblewrap" if shutil.which("bwrap") is None else _namespace_remedy()
    if _wants_sandbox(config):
        yield problem("sandbox", f"{RAILS_FILE} wants bwrap, which does not work: {plain(fault)}", remedy)
    else:
        yield warning("sandbox", f"bwrap does not work: {plain(fault)}; agents and gates can only run without", remedy)


def check_executors(written: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Look whether the programs of command executors are here; gateways are asked by the daemon, where one runs."""
    for name, table in written.executors.items():
        argv, url = table.get("argv"), table.get("url")
        if table.get("kind") == "command" and isinstance(argv, list) and argv:
            yield _program(plain(name), str(argv[0]))
        elif table.get("kind") == "openclaw" and isinstance(url, str) and not daemon_runs:
            yield _gateway(plain(name), url)


def _program(name: str, program: str) -> CheckResult:
    found = shutil.which(program)
    if found:
        return ok(f"program {name}", plain(found))
    remedy = f"put it on the PATH of stitcherd, or write the whole path in executors.{name}"
    return problem(f"program {name}", f"there is no program {plain(program)}", remedy)


def _gateway(name: str, url: str) -> CheckResult:
    try:
        place = urlsplit(url)
        port = place.port or {"ws": 80, "wss": 443}.get(place.scheme, 0)
        socket.create_connection((place.hostname or "", port), _COMMAND_TIMEOUT).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return problem(f"gateway {name}", f"nobody answers at {plain(url)}: {plain(why)}", "start the gateway")
    return info(f"gateway {name}", f"somebody answers at {plain(url)}; stitcherd will say whether it will do")


def check_sqlite() -> Iterator[CheckResult]:
    """Tell which SQLite this Python has."""
    version = sqlite3.sqlite_version_info
    if version >= _WAL_FIXED[0] or any(version[:2] == mended[:2] and version >= mended for mended in _WAL_FIXED):
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    race = "before 3.51.3 checkpoints of two connections may race; Stitcher has one writer, which alone checkpoints"
    remedy = "as long as stitcherd runs, let no other program write to its stitcher.db"
    yield info("sqlite", f"{sqlite3.sqlite_version}: {race}", remedy)


def check_clock() -> Iterator[CheckResult]:
    """Tell the time, and whether something keeps it right."""
    now = f"it is {ids.format_timestamp(time.time_ns() // 1_000_000)}"
    synchronised = _first_line(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes":
        yield ok("clock", f"{now}, synchronised")
    elif synchronised == "no":
        yield warning("clock", f"{now}, and not synchronised: {_SKEW}", "timedatectl set-ntp true")
    else:
        yield info("clock", f"{now}; nothing here says whether that is right, and {_SKEW}")


def _wants_sandbox(config: Path) -> bool:
    try:
        lines = (config / RAILS_FILE).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any("bwrap" in line.partition("#")[0] for line in lines)


def _namespace_remedy() -> str:
    for name, (forbids, remedy) in _NAMESPACE_SETTINGS.items():
        try:
            if Path(name).read_text("ascii").strip() == forbids:
                return f"{name} is {forbids}: {remedy}"
        except OSError:
            continue
    return "let this user make user namespaces; in a container, the container must allow them"


def _first_line(argv: list[str]) -> str | None:
    """Return the first line that a program prints; None where it cannot, or does not want to."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return plain(lines[0]) if lines and not done.returncode else None


_STATE_DIRECTORY = "state directory"
_DISK_PROBLEM = 100 * 2**20  # bytes below which the next job's checkout may not fit
_DISK_WARNING = 2**30
_NETWORK_FILESYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph", "glusterfs"}


def check_state_directory(state: Path) -> Iterator[CheckResult]:
    """Look at the state directory, or at the place where it will be made."""
    there = next(path for path in (state, *state.parents) if path.exists())
    shown, quoted = plain(str(state)), plain(shlex.quote(str(state)))
    found = there.stat()
    if there != state and not os.access(there, os.W_OK | os.X_OK):
        yield problem(
            _STATE_DIRECTORY, f"{shown} is not there, and cannot be made in {plain(str(there))}", "daemon.state_dir"
        )
        return
    if not there.is_dir():
        yield problem(_STATE_DIRECTORY, f"{plain(str(there))} is no directory", "choose another daemon.state_dir")
        return
    if there == state and found.st_uid != os.getuid():
        yield problem(
            _STATE_DIRECTORY,
            f"{shown} belongs to another user",
            f"chown -R {os.getuid()} {quoted}, or run as that user",
        )
    elif there == state and found.st_mode & 0o077:
        yield warning(_STATE_DIRECTORY, f"{shown} is open to others: logs and bodies are in it", f"chmod 700 {quoted}")
    else:
        yield ok(_STATE_DIRECTORY, shown if there == state else f"{shown} will be made when stitcherd starts")
    yield _disk_space(there)
    kind = _filesystem_type(there)
    if kind in _NETWORK_FILESYSTEMS:
        remedy = "choose a daemon.state_dir on a disk of this machine"
        yield problem(_STATE_DIRECTORY, f"{shown} is on {kind}, where SQLite's log does not work", remedy)


def _disk_space(there: Path) -> CheckResult:
    disk = os.statvfs(there)
    free = disk.f_bavail * disk.f_frsize
    said = f"{free / 2**30:.1f} GiB free" if free >= _DISK_WARNING else f"{free / 2**20:.0f} MiB free"
    remedy = "make room, or shorten retention.events in stitcherd.toml"
    if free < _DISK_PROBLEM or (disk.f_files and not disk.f_favail):
        return problem(
            "disk", f"{said}, {disk.f_favail:,} files more: webhooks are answered 503 when it is full", remedy
        )
    return warning("disk", said, remedy) if free < _DISK_WARNING else ok("disk", said)


def _filesystem_type(path: Path) -> str:
    """Return the type of the file system that a path lies on; empty where the kernel does not tell (proc(5))."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    best, kind = 0, ""
    real = str(path.resolve())
    for line in mounts:
        before, _, after = line.partition(" - ")
        point = before.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape", "replace")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, kind = len(point), after.split()[0]
    return kind
