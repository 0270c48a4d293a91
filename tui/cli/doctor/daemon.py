"""Checks of the daemon: its socket, what it reports about itself, its public listener, and the webhook URLs."""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from shared import VERSION, ids
from shared.api import Meta
from shared.checks import CheckResult, info, ok, problem, warning
from shared.locations import SETTINGS_FILE, SOCKET_PATH_MAX
from tui.cli.doctor.settings import SettingsSummary
from tui.client import api, listener
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.jobs import counted
from tui.text.plain import plain
from tui.text.times import milliseconds

_PROBE_TIMEOUT = 5.0  # seconds
_START = "start it with: stitcherd"
_RESTART = "restart stitcherd"
_PROXY = "put a proxy or tunnel in front of it, and its name into http.hosts of stitcherd.toml"
_NEUTRAL_KINDS = {"mosaic", "standard"}  # all others are forges, which call from the internet


def check_socket(path: Path, *, answers: bool) -> Iterator[CheckResult]:
    """Check the path of the socket and its directory, whether they exist already or not."""
    name, shown, length = "socket", plain(str(path)), len(os.fsencode(path))
    directory, quoted = path.parent, plain(shlex.quote(str(path.parent)))
    if directory.exists():
        found = directory.stat()
        if found.st_uid != os.getuid() or found.st_mode & (stat.S_ISVTX | stat.S_IWOTH):
            yield problem(name, f"{plain(str(directory))} is shared with others", "choose another daemon.socket")
            return
        if found.st_mode & 0o077:
            yield warning(name, f"{plain(str(directory))} is accessible to others", f"chmod 700 {quoted}")
    if not path.exists():
        yield ok(name, f"{shown} does not exist yet; {length} of at most {SOCKET_PATH_MAX} bytes")
    elif not path.is_socket():
        yield problem(name, f"{shown} is not a socket", "move it away, or choose another daemon.socket")
    elif not answers:
        yield warning(name, f"{shown} exists, but nothing answers", "none needed: the next stitcherd replaces it")
    elif path.stat().st_mode & 0o077:
        yield warning(name, f"{shown} is open to others", f"chmod 600 {plain(shlex.quote(str(path)))}")
    else:
        yield ok(name, f"{shown}, {length} of at most {SOCKET_PATH_MAX} bytes")


def check_meta(client: DaemonClient) -> tuple[Meta | None, list[CheckResult]]:
    """Return the daemon's identity, None if it is not reachable, and whether its version is that of this client."""
    try:
        meta = api.get_meta(client).value
    except DaemonUnreachable as error:
        return None, [problem("daemon", str(error).partition("; ")[0], _START)]
    except (ApiError, InvalidResponse) as error:
        return None, [problem("daemon", str(error), "compare both versions with: stitcher version")]
    identity = f"stitcherd {plain(meta.version)}, pid {meta.pid}, since {plain(meta.started_at)}"
    if meta.version != VERSION:
        detail = f"{identity}; this client is {VERSION}"
        return meta, [warning("daemon", detail, f"{_RESTART}, from the same installation")]
    return meta, [ok("daemon", identity)]


def check_readiness(client: DaemonClient, meta: Meta, config: Path) -> Iterator[CheckResult]:
    """Check the daemon's own readiness, its pause, refused signatures, and changes of its settings since its start."""
    for check in api.get_readiness(client).value.checks:
        name = plain(check.name.replace(":", " ", 1))
        if check.ok:
            yield ok(f"ready: {name}", plain(check.detail))
        else:
            detail = f"{plain(check.detail)}, since {plain(check.since)}"
            yield problem(f"ready: {name}", detail, _readiness_remedy(check.name))
    pause = api.get_pause(client).value
    if pause.paused:
        reason = f": {plain(pause.reason)}" if pause.reason else ""
        detail = f"paused by {plain(pause.actor or 'nobody')} since {plain(pause.since or '')}{reason}"
        yield warning("pause", f"no job starts, {pause.queued:,} queued; {detail}", "stitcher resume")
    for source, count in api.get_pulse(client).value.refused_signatures.items():
        detail = f"{plain(source)}: {counted(count, 'webhook')} with a wrong signature refused since the start"
        remedy = f"compare the secret at the sender with sources.{plain(source)}.secrets in {SETTINGS_FILE}"
        yield warning("signatures", detail, remedy)
    file = config / SETTINGS_FILE
    if file.exists() and file.stat().st_mtime * 1000 > milliseconds(meta.started_at):
        changed = ids.format_timestamp(int(file.stat().st_mtime * 1000))
        yield warning(SETTINGS_FILE, f"changed at {changed}, after the daemon read it", _RESTART)


def _readiness_remedy(name: str) -> str:
    if name == "rails":
        return "stitcher rails show prints what is wrong with the file"
    if name.startswith("executor:"):
        return f"check [executors.{plain(name.partition(':')[2])}] in {SETTINGS_FILE}, and what it refers to"
    if name.startswith("forge:"):
        source = plain(name.partition(":")[2])
        return f"check sources.{source} in {SETTINGS_FILE}; what is to be said there waits: stitcher answers"
    return "look at the log of stitcherd"


def check_listener(settings: SettingsSummary, *, daemon_runs: bool) -> Iterator[CheckResult]:
    """Check whether the daemon answers at its public address, or another program does."""
    name, shown = "public listener", f"http://{plain(settings.listen)}"
    host, _, port = settings.listen.rpartition(":")
    if not port.isdecimal() or int(port) > 65535:
        return  # stitcherd --check reports it
    if port == "0":
        detail = "the kernel chooses a port at each start, which senders cannot know"
        yield info(name, detail, "set one in http.listen")
        return
    healthy = listener.check_health(_reachable_host(host.strip("[]")), int(port), _PROBE_TIMEOUT)
    if healthy is None and daemon_runs:
        remedy = "restart stitcherd: it may have been started with another http.listen"
        yield problem(name, f"nothing answers at {shown}", remedy)
    elif healthy is None:
        yield ok(name, f"{shown} is free")
    elif not healthy or not daemon_runs:
        who = "something else answers" if not healthy else "a stitcherd with another socket answers"
        yield problem(name, f"{who} at {shown}", "stop it, or choose another http.listen in stitcherd.toml")
    else:
        yield ok(name, f"{shown} answers")


def check_webhooks(settings: SettingsSummary) -> Iterator[CheckResult]:
    """Report the webhook URL of each source, or that it is asked what happened."""
    if not settings.sources:
        yield warning("webhook", "no source: no webhook is accepted", "add a [sources.NAME] to stitcherd.toml")
        return
    public_name = next((host for host in settings.hosts if host not in {"localhost", "127.0.0.1", "::1"}), None)
    base = f"https://{plain(public_name)}" if public_name else f"http://{plain(settings.listen)}"
    for name, kind in settings.sources.items():
        asked = plain(settings.polled.get(name, ""))
        if asked and not settings.has_webhook(name):
            yield info("webhook", f"{plain(name)} ({plain(kind)}) is asked what happened every {asked}: none is needed")
            continue
        bare = kind == "mosaic" and list(settings.sources.values()).count("mosaic") == 1
        url = f"{base}{listener.WEBHOOK_PATH}" if bare else f"{base}{listener.WEBHOOK_PATH}/{plain(name)}"
        content_type = ", content type application/json" if kind == "github" else ""
        also = f"; it is asked every {asked} too" if asked else ""
        remedy = _PROXY if kind not in _NEUTRAL_KINDS and public_name is None and not asked else None
        yield info("webhook", f"{plain(name)} ({plain(kind)}) → {url}{content_type}{also}", remedy)


def _reachable_host(host: str) -> str:
    """Return the address at which a listener on all addresses is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
