"""Starts stitcherd with a new configuration, by systemd or in the background, and sends it a first webhook."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from msgspec import Struct

from shared.locations import socket_path, state_dir
from tui.cli import daemon_process
from tui.cli.daemon_process import NotReady
from tui.cli.doctor.settings import DEFAULT_LISTEN
from tui.cli.setup.answers import SetupAnswers
from tui.cli.setup.first_delivery import DeliveryFailed, FirstDelivery, send_first_delivery
from tui.client import api
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.plain import plain

_SYSTEMCTL = ("systemctl", "--user")
_SYSTEMCTL_TIMEOUT = 30.0  # seconds
LOG_FILE = "stitcherd.log"


class Started(Struct, frozen=True):
    """A daemon that was started: how to stop it, where its log is, and why it is not ready, if it is not."""

    stop: str
    log: str
    waits_for: tuple[str, ...] = ()


class FirstStart(Struct, frozen=True):
    """What became of a first start: the daemon, the webhook that it was sent, and what failed."""

    started: Started | None = None
    delivery: FirstDelivery | None = None
    fault: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing failed and nothing is waited for."""
        return self.fault is None and not (self.started and self.started.waits_for)


class NotStarted(Exception):
    """No daemon was started; the message says why, with the end of its log."""


def has_user_manager() -> bool:
    """Return whether a systemd of this user runs."""
    if shutil.which("systemctl") is None:
        return False
    return _systemctl("show-environment") is None


def start_and_try(config: Path, unit: Path | None, answers: SetupAnswers) -> FirstStart:
    """Start the daemon, wait until it is ready, and send it a webhook if there is a source.

    `unit` is its unit of systemd, if that is to start it; else it runs in the background. Raises SocketPathTooLong.
    """
    host, _, port = (answers.listen or DEFAULT_LISTEN).rpartition(":")
    host, client = host.strip("[]"), DaemonClient(socket_path(None, config))
    try:
        started = _start(config, client, unit, host, int(port))
    except NotStarted as error:
        return FirstStart(fault=f"stitcherd was not started: {error}")
    try:
        delivery = send_first_delivery(client, answers.forge, answers, host, int(port)) if answers.forge else None
    except (DeliveryFailed, ApiError, DaemonUnreachable, InvalidResponse) as error:
        return FirstStart(started, fault=f"the test delivery was not accepted: {plain(str(error))}")
    return FirstStart(started, delivery)


def _start(config: Path, client: DaemonClient, unit: Path | None, host: str, port: int) -> Started:
    if _is_answered(client):
        raise NotStarted(f"a stitcherd answers at {plain(str(client.path))} already: stop it first")
    if unit is not None:
        return _start_unit(unit, client, host, port)
    log = state_dir(config) / LOG_FILE
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    process = daemon_process.start(config, log, os.environ)
    started = Started(f"kill {process.pid}", str(log))
    try:
        daemon_process.wait_until_ready(host, port, process)
    except NotReady as error:
        if process.poll() is None:
            return _waiting(started, client, error)
        lines = "".join(f"\n  | {plain(line)}" for line in daemon_process.log_tail(log))
        raise NotStarted(f"{error}; the end of its log:{lines}") from None
    return started


def _start_unit(unit: Path, client: DaemonClient, host: str, port: int) -> Started:
    for words in (("daemon-reload",), ("enable", "--now", unit.name)):
        if fault := _systemctl(*words):
            raise NotStarted(f"{shlex.join([*_SYSTEMCTL, *words])} failed: {plain(fault)}")
    name = unit.name.removesuffix(".service")
    started = Started(f"systemctl --user disable --now {name}", f"journalctl --user -u {name}")
    try:
        daemon_process.wait_until_ready(host, port)
    except NotReady as error:
        if not _is_answered(client):
            raise NotStarted(f"{error}; look at its log: {started.log}") from None
        return _waiting(started, client, error)
    return started


def _waiting(started: Started, client: DaemonClient, error: NotReady) -> Started:
    """Return what keeps a daemon that runs from being ready, as it says itself."""
    try:
        checks = api.get_readiness(client).value.checks
    except DaemonUnreachable:
        return Started(started.stop, started.log, (str(error),))
    failing = tuple(f"{plain(check.name)}: {plain(check.detail)}" for check in checks if not check.ok)
    return Started(started.stop, started.log, failing)


def _is_answered(client: DaemonClient) -> bool:
    try:
        api.get_meta(client)
    except DaemonUnreachable:
        return False
    return True


def _systemctl(*words: str) -> str | None:
    """Run systemctl for this user; return why it failed, None if it did not."""
    try:
        done = subprocess.run(
            [*_SYSTEMCTL, *words], capture_output=True, text=True, timeout=_SYSTEMCTL_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return (done.stderr.strip() or f"exit code {done.returncode}") if done.returncode else None
