"""The demo's daemon: `stitcherd` as a child process, started, awaited and stopped."""

import os
import subprocess
import sys
import time
from pathlib import Path

import tui
from tui.cli.demo.environment import DemoEnvironment
from tui.client import listener

_READY_TIMEOUT = 15.0  # seconds
_STOP_TIMEOUT = 8.0  # seconds; more than the grace that the configuration gives to running jobs
_PROBE_TIMEOUT = 2.0
_POLL_SECONDS = 0.05


class DemoFailed(Exception):
    """The demo cannot continue; the message says what was expected."""


def start(
    environment: DemoEnvironment, argv: tuple[str, ...] = (sys.executable, "-m", "stitcherd")
) -> subprocess.Popen[bytes]:
    """Start `argv` with the demo's configuration; its output goes to the demo's log.

    It gets its own session, so that ctrl-c on the terminal interrupts only the demo, which then stops it in order.
    """
    packages = Path(tui.__file__).parents[1]  # `stitcherd` is beside `tui`, in a wheel and in a checkout
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("STITCHER_", "GIT_"))}
    with environment.log.open("wb") as log:
        return subprocess.Popen(
            [*argv, "--config", str(environment.config)],
            cwd=packages,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until_ready(environment: DemoEnvironment, process: subprocess.Popen[bytes]) -> None:
    """Return when `/readyz` answers 200; raises DemoFailed if the daemon ends or takes too long."""
    deadline = time.monotonic() + _READY_TIMEOUT
    answer = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoFailed(f"stitcherd ended with exit code {process.returncode} before it was ready")
        answer = listener.readiness_status("127.0.0.1", environment.port, _PROBE_TIMEOUT)
        if answer == "200":
            return
        time.sleep(_POLL_SECONDS)
    raise DemoFailed(f"stitcherd was not ready within {_READY_TIMEOUT:g} s: /readyz gave {answer}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the daemon, and kill it if it does not end."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(environment: DemoEnvironment, lines: int = 20) -> list[str]:
    """Return the last lines of the daemon's log."""
    try:
        return environment.log.read_text("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
