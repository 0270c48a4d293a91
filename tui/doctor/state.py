"""The directory of all that the daemon keeps: whose it is, how much room it has, what kind of disk it lies on."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from tui.doctor.finding import Finding, ok, problem, warning
from tui.plain import plain

_NAME = "state directory"
_LITTLE = 100 * 2**20  # bytes below which the next job's checkout may not fit
_SOME = 2**30
_SHARED = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "afs", "ceph", "glusterfs"}


def directory(state: Path) -> Iterator[Finding]:
    """Look at the state directory, or at the place where it will be made."""
    there = next(path for path in (state, *state.parents) if path.exists())
    shown, quoted = plain(str(state)), plain(shlex.quote(str(state)))
    found = there.stat()
    if there != state and not os.access(there, os.W_OK | os.X_OK):
        yield problem(_NAME, f"{shown} is not there, and cannot be made in {plain(str(there))}", "daemon.state_dir")
        return
    if not there.is_dir():
        yield problem(_NAME, f"{plain(str(there))} is no directory", "choose another daemon.state_dir")
        return
    if there == state and found.st_uid != os.getuid():
        yield problem(
            _NAME, f"{shown} belongs to another user", f"chown -R {os.getuid()} {quoted}, or run as that user"
        )
    elif there == state and found.st_mode & 0o077:
        yield warning(_NAME, f"{shown} is open to others: logs and bodies are in it", f"chmod 700 {quoted}")
    else:
        yield ok(_NAME, shown if there == state else f"{shown} will be made when stitcherd starts")
    yield _room(there)
    kind = _kind(there)
    if kind in _SHARED:
        remedy = "choose a daemon.state_dir on a disk of this machine"
        yield problem(_NAME, f"{shown} is on {kind}, where SQLite's log does not work", remedy)


def _room(there: Path) -> Finding:
    disk = os.statvfs(there)
    free = disk.f_bavail * disk.f_frsize
    said = f"{free / 2**30:.1f} GiB free" if free >= _SOME else f"{free / 2**20:.0f} MiB free"
    remedy = "make room, or shorten retention.events in stitcherd.toml"
    if free < _LITTLE or (disk.f_files and not disk.f_favail):
        return problem(
            "disk", f"{said}, {disk.f_favail:,} files more: webhooks are answered 503 when it is full", remedy
        )
    return warning("disk", said, remedy) if free < _SOME else ok("disk", said)


def _kind(path: Path) -> str:
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
