"""The programs that Stitcher runs, and what the machine itself may have against it."""

import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from shared import ids
from shared.locations import RAILS
from tui import bubblewrap
from tui.doctor.finding import Finding, info, ok, problem, warning
from tui.doctor.written import Written
from tui.plain import plain

_PATIENCE = 5.0  # seconds for a program that only says how it is
_WAL_MENDED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))  # https://sqlite.org/wal.html#walresetbug; the last two backported
_SKEW = "signatures with a time in them are refused from 5 minutes on"
_FORBIDDING = {  # files of the kernel, the value in them that forbids, and what allows again
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": ("1", "give bwrap an AppArmor profile with `userns`"),
}


def git() -> Iterator[Finding]:
    """Look for git."""
    said = _said(["git", "--version"])
    if said is None:
        yield problem("git", "there is no git that runs", "on Debian: apt-get install git")
    else:
        yield ok("git", said)


def sandbox(config: Path) -> Iterator[Finding]:
    """Look whether bubblewrap may make its namespaces; that it may not is a problem where the rails want it."""
    fault = bubblewrap.fault()
    if fault is None:
        yield ok("sandbox", _said(["bwrap", "--version"]) or "bubblewrap works")
        return
    remedy = "on Debian: apt-get install bubblewrap" if shutil.which("bwrap") is None else _namespaces()
    if _wants_sandbox(config):
        yield problem("sandbox", f"{RAILS} wants bwrap, which does not work: {plain(fault)}", remedy)
    else:
        yield warning("sandbox", f"bwrap does not work: {plain(fault)}; agents and gates can only run without", remedy)


def executors(written: Written, *, daemon_runs: bool) -> Iterator[Finding]:
    """Look whether the programs of command executors are here; gateways are asked by the daemon, where one runs."""
    for name, table in written.executors.items():
        argv, url = table.get("argv"), table.get("url")
        if table.get("kind") == "command" and isinstance(argv, list) and argv:
            yield _program(plain(name), str(argv[0]))
        elif table.get("kind") == "openclaw" and isinstance(url, str) and not daemon_runs:
            yield _gateway(plain(name), url)


def _program(name: str, program: str) -> Finding:
    found = shutil.which(program)
    if found:
        return ok(f"program {name}", plain(found))
    remedy = f"put it on the PATH of stitcherd, or write the whole path in executors.{name}"
    return problem(f"program {name}", f"there is no program {plain(program)}", remedy)


def _gateway(name: str, url: str) -> Finding:
    try:
        place = urlsplit(url)
        port = place.port or {"ws": 80, "wss": 443}.get(place.scheme, 0)
        socket.create_connection((place.hostname or "", port), _PATIENCE).close()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        return problem(f"gateway {name}", f"nobody answers at {plain(url)}: {plain(why)}", "start the gateway")
    return info(f"gateway {name}", f"somebody answers at {plain(url)}; stitcherd will say whether it will do")


def sqlite() -> Iterator[Finding]:
    """Tell which SQLite this Python has."""
    version = sqlite3.sqlite_version_info
    if version >= _WAL_MENDED[0] or any(version[:2] == mended[:2] and version >= mended for mended in _WAL_MENDED):
        yield ok("sqlite", sqlite3.sqlite_version)
        return
    race = "before 3.51.3 checkpoints of two connections may race; Stitcher has one writer, which alone checkpoints"
    remedy = "as long as stitcherd runs, let no other program write to its stitcher.db"
    yield info("sqlite", f"{sqlite3.sqlite_version}: {race}", remedy)


def clock() -> Iterator[Finding]:
    """Tell the time, and whether something keeps it right."""
    now = f"it is {ids.stamp(time.time_ns() // 1_000_000)}"
    synchronised = _said(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    if synchronised == "yes":
        yield ok("clock", f"{now}, synchronised")
    elif synchronised == "no":
        yield warning("clock", f"{now}, and not synchronised: {_SKEW}", "timedatectl set-ntp true")
    else:
        yield info("clock", f"{now}; nothing here says whether that is right, and {_SKEW}")


def _wants_sandbox(config: Path) -> bool:
    try:
        lines = (config / RAILS).read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any("bwrap" in line.partition("#")[0] for line in lines)


def _namespaces() -> str:
    for name, (forbids, remedy) in _FORBIDDING.items():
        try:
            if Path(name).read_text("ascii").strip() == forbids:
                return f"{name} is {forbids}: {remedy}"
        except OSError:
            continue
    return "let this user make user namespaces; in a container, the container must allow them"


def _said(argv: list[str]) -> str | None:
    """Return the first line that a program prints; None where it cannot, or does not want to."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return plain(lines[0]) if lines and not done.returncode else None
