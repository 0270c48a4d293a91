"""The demo's daemon: `stitcherd` as a child of its own session, started, awaited and ended."""

import os
import subprocess
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import tui
from tui.cli.demo.environment import DemoEnvironment

_READY_WITHIN = 15.0  # seconds
_ENDS_WITHIN = 8.0  # seconds; above the grace that the stage gives to running jobs
_PAUSE = 0.05


class DemoFailed(Exception):
    """The demo cannot go on; the text says what was expected."""


def start(
    stage: DemoEnvironment, argv: tuple[str, ...] = (sys.executable, "-m", "stitcherd")
) -> subprocess.Popen[bytes]:
    """Start `argv` with the stage's configuration; its output goes to the stage's log.

    In a session of its own, so that ctrl-c on the terminal reaches the demo alone, which then ends it in order.
    """
    # Where `tui` was found `stitcherd` stands beside it, installed or not.
    beside = Path(tui.__file__).parents[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("STITCHER_", "GIT_"))}
    with stage.log.open("wb") as log:
        return subprocess.Popen(
            [*argv, "--config", str(stage.config)],
            cwd=beside,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until_ready(stage: DemoEnvironment, process: subprocess.Popen[bytes]) -> None:
    """Return when `/readyz` answers 200; raises DidNotHappen where the daemon ends or takes too long."""
    deadline = time.monotonic() + _READY_WITHIN
    answer = "no answer"
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoFailed(f"stitcherd ended with code {process.returncode} before it was ready")
        answer = _ask(stage.port)
        if answer == "200":
            return
        time.sleep(_PAUSE)
    raise DemoFailed(f"stitcherd was not ready within {_READY_WITHIN:g} s: /readyz gave {answer}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the daemon to end, and make it end where it does not."""
    process.terminate()
    try:
        process.wait(_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(stage: DemoEnvironment, lines: int = 20) -> list[str]:
    """Return the last lines that the daemon logged."""
    try:
        return stage.log.read_text("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []


def _ask(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return str(connection.getresponse().status)
    except (OSError, HTTPException) as error:
        return str(error)
    finally:
        connection.close()
