"""Finds out whether bubblewrap works here by running it: kernels and containers forbid namespaces in many ways."""

import shutil
import subprocess

_OPTIONS = ("--unshare-all", "--unshare-user", "--disable-userns")  # as in Stitcher's sandbox; the last needs 0.8
_TIMEOUT = 10.0  # seconds


def unavailable_reason() -> str | None:
    """Return why bubblewrap does not work, or None if it does."""
    if shutil.which("bwrap") is None:
        return "there is no program bwrap"
    argv = ["bwrap", *_OPTIONS, "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return done.stderr.decode("utf-8", "replace").strip() or f"bwrap ended with exit code {done.returncode}"
    return None
