"""Checks of the forges' APIs: what the credential of each source may do there, which the daemon's side finds out."""

from collections.abc import Callable, Iterator
from pathlib import Path

from shared.checks import CheckResult, info
from tui.cli.doctor.daemon_checks import run_check
from tui.cli.doctor.settings import SecretSource, SettingsSummary
from tui.client import api
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.text.plain import plain

_DELIVERIES = 100  # the latest ones, whose repositories are checked besides those that the settings name


def check_forges(config: Path, settings: SettingsSummary, client: DaemonClient | None = None) -> Iterator[CheckResult]:
    """Ask the forge of each source with an API and a credential; those whose secrets are not set here are left out.

    `client` is that of a running daemon, which knows the repositories that a pattern stands for.
    """
    unset = {name for name in settings.with_api if any(map(_belongs_to(name), settings.unset))}
    for name in unset:
        yield info(f"forge {plain(name)}", "not asked: a secret of this source is not set where the doctor runs")
    if names := [name for name in settings.with_api if name not in unset]:
        yield from run_check("forge_check", "forges", config, settings, [*_seen(client), "--", *names])


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
