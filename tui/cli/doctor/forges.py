"""Checks of the forges' APIs: whose the credential of each source is, when it expires, and whether the clocks agree."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

import tui
from shared.forge_check import ForgeReport
from tui.cli.doctor.result import CheckResult, info, ok, problem, warning
from tui.cli.doctor.settings import SecretSource, SettingsSummary
from tui.text.plain import plain

_CHECK_TIMEOUT = 30.0  # seconds; a forge has 10 to answer
_SKEW_MAX = 30  # seconds; the JWT of an App is refused from about a minute


def check_forges(config: Path, settings: SettingsSummary) -> Iterator[CheckResult]:
    """Ask the forge of each source with an API and a credential; those whose secrets are not set here are left out."""
    unset = {name for name in settings.with_api if any(map(_belongs_to(name), settings.unset))}
    for name in unset:
        yield info(f"forge {plain(name)}", "not asked: a secret of this source is not set where the doctor runs")
    if names := [name for name in settings.with_api if name not in unset]:
        yield from _ask(config, names, settings)


def _ask(config: Path, names: list[str], settings: SettingsSummary) -> Iterator[CheckResult]:
    argv = [sys.executable, "-m", "stitcherd.forge_check", "--config", str(config), *names]
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
    if done.returncode:
        return  # stitcherd --check reports it
    for line in done.stdout.splitlines():
        yield from _results(msgspec.json.decode(line, type=ForgeReport))


def _belongs_to(source: str) -> Callable[[SecretSource], bool]:
    return lambda secret: secret.key.startswith((f"sources.{source}.token", f"sources.{source}.app."))


def _results(report: ForgeReport) -> Iterator[CheckResult]:
    name, key = f"forge {plain(report.source)}", f"sources.{plain(report.source)}"
    if report.error is not None:
        yield problem(name, plain(report.error), plain(report.hint or f"check {key} in stitcherd.toml"))
    else:
        expiry = f", expires {plain(report.expires)}" if report.expires else ""
        yield ok(name, f"{plain(report.login or '')}#{plain(report.id or '')}{expiry}")
    if report.clock_ahead is not None and abs(report.clock_ahead) > _SKEW_MAX:
        direction = "ahead of" if report.clock_ahead > 0 else "behind"
        detail = f"the clock is {abs(report.clock_ahead)} s {direction} that of the forge"
        yield warning(name, detail, "timedatectl set-ntp true")
