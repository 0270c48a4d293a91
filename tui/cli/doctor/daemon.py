"""The socket, and what the daemon behind it says of itself."""

import json
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec

from shared import VERSION, ids
from shared.api import Meta, PauseState
from shared.locations import SETTINGS_FILE, SOCKET_PATH_MAX
from tui.cli.doctor.result import CheckResult, info, ok, problem, warning
from tui.cli.doctor.settings import SettingsSummary
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, decode
from tui.text.plain import plain
from tui.text.times import milliseconds

# merged from tui.doctor.door: The public door, and what is to be entered at each sender.

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


def check_socket(path: Path, *, answers: bool) -> Iterator[CheckResult]:
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
        yield ok(name, f"{shown} is not there; {length} of at most {SOCKET_PATH_MAX} bytes")
    elif not path.is_socket():
        yield problem(name, f"{shown} is there and is no socket", "move it away, or choose another daemon.socket")
    elif not answers:
        yield warning(name, f"{shown} is there, and nobody answers", "none needed: the next stitcherd replaces it")
    elif path.stat().st_mode & 0o077:
        yield warning(name, f"{shown} is open to others", f"chmod 600 {plain(shlex.quote(str(path)))}")
    else:
        yield ok(name, f"{shown}, {length} of at most {SOCKET_PATH_MAX} bytes")


def check_meta(daemon: DaemonClient) -> tuple[Meta | None, list[CheckResult]]:
    """Return who answers, or None; and whether it is the one that this client and these files belong to."""
    try:
        meta = decode(daemon.get("/meta"), Meta)
    except DaemonUnreachable as silence:
        return None, [problem("daemon", str(silence).partition("; ")[0], _START)]
    except (ApiError, InvalidResponse) as said:
        return None, [problem("daemon", str(said), "compare both sides with: stitcher version")]
    who = f"stitcherd {plain(meta.version)}, pid {meta.pid}, since {plain(meta.started_at)}"
    if meta.version != VERSION:
        return meta, [warning("daemon", f"{who}; this client is {VERSION}", f"{_AGAIN}, from the same installation")]
    return meta, [ok("daemon", who)]


def check_readiness(daemon: DaemonClient, meta: Meta, config: Path) -> Iterator[CheckResult]:
    """Tell what the daemon says of its parts, and whether it knows the settings as they are now."""
    for check in _ready(daemon):
        name = plain(check.name.replace(":", " ", 1))
        if check.ok:
            yield ok(f"ready: {name}", plain(check.detail))
        else:
            yield problem(f"ready: {name}", f"{plain(check.detail)}, since {plain(check.since)}", _remedy(check.name))
    pause = decode(daemon.get("/pause"), PauseState)
    if pause.paused:
        why = f": {plain(pause.reason)}" if pause.reason else ""
        detail = f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{why}"
        yield warning("pause", f"nothing starts, {pause.queued:,} queued; {detail}", "stitcher resume")
    file = config / SETTINGS_FILE
    if file.exists() and file.stat().st_mtime * 1000 > milliseconds(meta.started_at):
        changed = ids.format_timestamp(int(file.stat().st_mtime * 1000))
        yield warning(SETTINGS_FILE, f"changed at {changed}, after the daemon had read it", _AGAIN)


def _ready(daemon: DaemonClient) -> tuple[_Check, ...]:
    try:
        document = daemon.get("/readyz")
    except ApiError as refused:  # 503 has the same document
        document = refused.document
    return decode(document, _Ready).checks


def _remedy(name: str) -> str:
    if name == "rails":
        return "stitcher rails show says what is wrong with the file"
    if name.startswith("executor:"):
        return f"see [executors.{plain(name.partition(':')[2])}] in {SETTINGS_FILE}, and what it names"
    return "look at the log of stitcherd"


_PROBE_TIMEOUT = 5.0  # seconds
_WEBHOOK_PATH = "/stitcher/webhook"
_PROXY_REMEDY = "put a proxy or tunnel in front of it, and its name into http.hosts of stitcherd.toml"
_FORGES = {"github", "gitea", "gitlab"}


def check_listener(written: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Look whether the public door is answered by a daemon, or taken by somebody else."""
    name, shown = "public door", f"http://{plain(written.listen)}"
    host, _, port = written.listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        return  # stitcherd --check says what is wrong with it
    if port == "0":
        yield info(
            name, "the kernel chooses its port at each start: senders cannot know it", "write one in http.listen"
        )
        return
    answer = _probe_listener(_reachable_host(host.strip("[]")), int(port))
    if answer is None and daemon_runs:
        remedy = "stitcherd was started with another http.listen, perhaps: start it again"
        yield problem(name, f"nobody answers at {shown}", remedy)
    elif answer is None:
        yield ok(name, f"{shown} is free")
    elif not answer or not daemon_runs:
        who = "something else answers" if not answer else "a stitcherd answers that has another socket"
        yield problem(name, f"{who} at {shown}", "end it, or choose another http.listen in stitcherd.toml")
    else:
        yield ok(name, f"{shown} answers")


def check_webhooks(written: SettingsSummary) -> Iterator[CheckResult]:
    """Tell the URL for each source."""
    if not written.sources:
        yield warning("webhook", "no source: nobody may send", "add a [sources.NAME] to stitcherd.toml")
        return
    public_name = next((host for host in written.hosts if host not in {"localhost", "127.0.0.1", "::1"}), None)
    base = f"https://{plain(public_name)}" if public_name else f"http://{plain(written.listen)}"
    for name, kind in written.sources.items():
        own = kind == "mosaic" and list(written.sources.values()).count("mosaic") == 1
        url = f"{base}{_WEBHOOK_PATH}" if own else f"{base}{_WEBHOOK_PATH}/{plain(name)}"
        form = ", content type application/json" if kind == "github" else ""
        remedy = _PROXY_REMEDY if kind in _FORGES and public_name is None else None
        yield info("webhook", f"{plain(name)} ({plain(kind)}) → {url}{form}", remedy)


def _probe_listener(host: str, port: int) -> bool | None:
    """Return whether what answers there is a stitcherd; None where nobody does."""
    connection = HTTPConnection(host, port, timeout=_PROBE_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        return bool(json.loads(connection.getresponse().read(1000)) == {"status": "ok"})
    except (ConnectionRefusedError, socket.gaierror):
        return None
    except (OSError, HTTPException, ValueError):
        return False
    finally:
        connection.close()


def _reachable_host(host: str) -> str:
    """Return the address at which a door that listens everywhere is reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (where it listens is asked, not chosen)
