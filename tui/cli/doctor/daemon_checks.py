"""Runs the checks that the daemon's side makes, each a process of its own that prints a CheckResult in each line."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

import tui
from shared.checks import CheckResult, problem
from tui.cli.doctor.settings import SettingsSummary
from tui.text.plain import plain

_CHECK_TIMEOUT = 40.0  # seconds; a check ends by itself after 25, and has to start first


def run_check(
    module: str, subject: str, config: Path, settings: SettingsSummary, options: Sequence[str] = ()
) -> Iterator[CheckResult]:
    """Yield what `stitcherd.MODULE` finds out about its subject; nothing if the settings cannot be read."""
    done = run_module(f"stitcherd.{module}", ("--config", str(config), *options), settings, _CHECK_TIMEOUT)
    if done is None:
        yield problem(subject, f"they were not checked within {_CHECK_TIMEOUT:g} s", "try again")
        return
    for line in done.stdout.splitlines():
        yield _plain(msgspec.json.decode(line, type=CheckResult))
    if done.returncode not in {0, 2}:  # 2: stitcherd --check reports the settings
        last = plain((done.stderr.decode("utf-8", "replace").splitlines() or ["no message"])[-1])
        yield problem(subject, f"the check ended with exit code {done.returncode}: {last}", "look at stitcherd --check")


def run_module(
    module: str, options: Sequence[str], settings: SettingsSummary, timeout: float
) -> subprocess.CompletedProcess[bytes] | None:
    """Run a module of the daemon, for so many seconds at most, and return its output; None if it has not ended."""
    try:
        return subprocess.run(
            [sys.executable, "-m", module, *options],
            cwd=Path(tui.__file__).parents[1],  # `stitcherd` is beside `tui`, in a wheel and in a checkout
            env=settings.complete_environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def _plain(result: CheckResult) -> CheckResult:
    remedy = None if result.remedy is None else plain(result.remedy)
    return CheckResult(plain(result.name), result.state, plain(result.detail), remedy)
