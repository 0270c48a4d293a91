"""The socket, and what the daemon behind it says of itself."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared import VERSION, ids
from shared.house import Meta, Pause
from shared.locations import SETTINGS, SOCKET_LIMIT
from tui.client import Daemon, Refused, Unintelligible, Unreachable, decode
from tui.doctor.finding import Finding, ok, problem, warning
from tui.plain import plain
from tui.times import milliseconds

_START = "start it with: stitcherd"
_AGAIN = "start stitcherd again"


class _Check(msgspec.Struct):
    name: str
    ok: bool
    detail: str
    since: str = ""


class _Ready(msgspec.Struct):
    ready: bool
    checks: tuple[_Check, ...] = ()


def place(path: Path, *, answers: bool) -> Iterator[Finding]:
    """Look at the socket's place, as it is or as it will be."""
    name, shown, length = "socket", plain(str(path)), len(os.fsencode(path))
    directory, quoted = path.parent, plain(shlex.quote(str(path.parent)))
    if directory.exists():
        found = directory.stat()
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_ISVTX | stat.S_IWOTH):
            yield problem(name, f"{plain(str(directory))} is shared with others", "put daemon.socket somewhere else")
            return
        if found.st_mode & 0o077:
            yield warning(name, f"others may enter {plain(str(directory))}", f"chmod 700 {quoted}")
    if not path.exists():
        yield ok(name, f"{shown} is not there; {length} of at most {SOCKET_LIMIT} bytes")
    elif not path.is_socket():
        yield problem(name, f"{shown} is there and is no socket", "move it away, or choose another daemon.socket")
    elif not answers:
        yield warning(name, f"{shown} is there, and nobody answers", "none needed: the next stitcherd replaces it")
    elif path.stat().st_mode & 0o077:
        yield warning(name, f"{shown} is open to others", f"chmod 600 {plain(shlex.quote(str(path)))}")
    else:
        yield ok(name, f"{shown}, {length} of at most {SOCKET_LIMIT} bytes")


def ask(daemon: Daemon) -> tuple[Meta | None, list[Finding]]:
    """Return who answers, or None; and whether it is the one that this client and these files belong to."""
    try:
        meta = decode(daemon.get("/meta"), Meta)
    except Unreachable as silence:
        return None, [problem("daemon", str(silence).partition("; ")[0], _START)]
    except (Refused, Unintelligible) as said:
        return None, [problem("daemon", str(said), "compare both sides with: stitcher version")]
    who = f"stitcherd {plain(meta.version)}, pid {meta.pid}, since {plain(meta.started_at)}"
    if meta.version != VERSION:
        return meta, [warning("daemon", f"{who}; this client is {VERSION}", f"{_AGAIN}, from the same installation")]
    return meta, [ok("daemon", who)]


def condition(daemon: Daemon, meta: Meta, config: Path) -> Iterator[Finding]:
    """Tell what the daemon says of its parts, and whether it knows the settings as they are now."""
    for check in _ready(daemon):
        name = plain(check.name.replace(":", " ", 1))
        if check.ok:
            yield ok(f"ready: {name}", plain(check.detail))
        else:
            yield problem(f"ready: {name}", f"{plain(check.detail)}, since {plain(check.since)}", _remedy(check.name))
    pause = decode(daemon.get("/pause"), Pause)
    if pause.paused:
        why = f": {plain(pause.reason)}" if pause.reason else ""
        detail = f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{why}"
        yield warning("pause", f"nothing starts, {pause.queued:,} queued; {detail}", "stitcher resume")
    file = config / SETTINGS
    if file.exists() and file.stat().st_mtime * 1000 > milliseconds(meta.started_at):
        changed = ids.stamp(int(file.stat().st_mtime * 1000))
        yield warning(SETTINGS, f"changed at {changed}, after the daemon had read it", _AGAIN)


def _ready(daemon: Daemon) -> tuple[_Check, ...]:
    try:
        document = daemon.get("/readyz")
    except Refused as refused:  # 503 has the same document
        document = refused.document
    return decode(document, _Ready).checks


def _remedy(name: str) -> str:
    if name == "rails":
        return "stitcher rails show says what is wrong with the file"
    if name.startswith("executor:"):
        return f"see [executors.{plain(name.partition(':')[2])}] in {SETTINGS}, and what it names"
    return "look at the log of stitcherd"
