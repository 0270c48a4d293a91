"""Checks of the forges' APIs: what the credential of each source may do there, which the daemon's side finds out."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import tui
from shared.checks import CheckResult, info, problem
from tui.cli.doctor.settings import SecretSource, SettingsSummary
from tui.client import api
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.plain import plain

_CHECK_TIMEOUT = 40.0  # seconds; the check ends by itself after 25, and has to start first
_DELIVERIES = 100  # the latest ones, whose repositories are checked besides those that the settings name


def check_forges(config: Path, settings: SettingsSummary, client: DaemonClient | None = None) -> Iterator[CheckResult]:
    """Ask the forge of each source with an API and a credential; those whose secrets are not set here are left out.

    `client` is that of a running daemon, which knows the repositories that a pattern stands for.
    """
    unset = {name for name in settings.with_api if any(map(_belongs_to(name), settings.unset))}
    for name in unset:
        yield info(f"forge {plain(name)}", "not asked: a secret of this source is not set where the doctor runs")
    if names := [name for name in settings.with_api if name not in unset]:
        yield from _ask(config, names, settings, _seen(client))


def _ask(config: Path, names: list[str], settings: SettingsSummary, seen: list[str]) -> Iterator[CheckResult]:
    argv = [sys.executable, "-m", "stitcherd.forge_check", "--config", str(config), *seen, "--", *names]
    try:
        done = subprocess.run(
            argv,
            cwd=Path(tui.__file__).parents[1],  # `stitcherd` is beside `tui`, in a wheel and in a checkout
            env=settings.complete_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_CHECK_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        yield problem("forges", f"they were not checked within {_CHECK_TIMEOUT:g} s", "try again")
        return
    for line in done.stdout.splitlines():
        yield _plain(msgspec.json.decode(line, type=CheckResult))
    if done.returncode not in {0, 2}:  # 2: stitcherd --check reports the settings
        last = plain((done.stderr.decode("utf-8", "replace").splitlines() or ["no message"])[-1])
        yield problem(
            "forges", f"the check ended with exit code {done.returncode}: {last}", "look at stitcherd --check"
        )


def _seen(client: DaemonClient | None) -> list[str]:
    """Return the options that name the repositories of the latest deliveries, none if the daemon cannot tell them."""
    if client is None:
        return []
    try:
        deliveries = api.list_deliveries(client, limit=_DELIVERIES).value.items
    except (ApiError, DaemonUnreachable, InvalidResponse):
        return []  # other checks report what is wrong with the daemon
    pairs = dict.fromkeys(f"{each.source}={each.repository}" for each in deliveries if each.repository)
    return [word for pair in pairs for word in ("--seen", pair)]


def _belongs_to(source: str) -> Callable[[SecretSource], bool]:
    return lambda secret: secret.key.startswith((f"sources.{source}.token", f"sources.{source}.app."))


def _plain(result: CheckResult) -> CheckResult:
    remedy = None if result.remedy is None else plain(result.remedy)
    return CheckResult(plain(result.name), result.state, plain(result.detail), remedy)
