"""`stitcherd` as a child process: started, awaited and stopped."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import tui
from tui.client import listener

PROGRAM = (sys.executable, "-m", "stitcherd")
PACKAGES = Path(tui.__file__).parents[1]  # `stitcherd` is beside `tui`, in a wheel and in a checkout

_READY_TIMEOUT = 15.0  # seconds
_STOP_TIMEOUT = 8.0  # seconds; more than the grace that the demo's configuration gives to running jobs
_PROBE_TIMEOUT = 2.0
_POLL_SECONDS = 0.05


class NotReady(Exception):
    """The daemon ended, or did not become ready in time; the message says which, and what it answered."""


def start(
    config: Path, log: Path, environ: Mapping[str, str], argv: Sequence[str] = PROGRAM
) -> subprocess.Popen[bytes]:
    """Start `argv` with a configuration directory; its output goes to the file `log`, which is replaced.

    It gets its own session, so that ctrl-c on the terminal does not interrupt it.
    """
    log.unlink(missing_ok=True)
    log.touch(mode=0o600)
    with log.open("wb") as file:
        return subprocess.Popen(
            [*argv, "--config", str(config)],
            cwd=PACKAGES,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def wait_until_ready(host: str, port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Return when `/readyz` answers 200; raises NotReady if the process ends, or it takes too long."""
    deadline = time.monotonic() + _READY_TIMEOUT
    answer = "no answer"
    while time.monotonic() < deadline:
        if process is not None and process.poll() is not None:
            raise NotReady(f"stitcherd ended with exit code {process.returncode} before it was ready")
        answer = listener.readiness_status(host, port, _PROBE_TIMEOUT)
        if answer == "200":
            return
        time.sleep(_POLL_SECONDS)
    raise NotReady(f"stitcherd was not ready within {_READY_TIMEOUT:g} s: /readyz gave {answer}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the daemon, and kill it if it does not end."""
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def log_tail(log: Path, lines: int = 20) -> list[str]:
    """Return the last lines of the daemon's log."""
    try:
        return log.read_text("utf-8", "replace").splitlines()[-lines:]
    except FileNotFoundError:
        return []
