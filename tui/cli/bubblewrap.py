"""Whether bubblewrap works here: it is tried, since kernels and containers forbid namespaces in many ways."""

import shutil
import subprocess

# What Stitcher's sandbox needs; the last is from bubblewrap 0.8.
_OPTIONS = ("--unshare-all", "--unshare-user", "--disable-userns")
_PATIENCE = 10.0  # seconds


def unavailable_reason() -> str | None:
    """Return None where it works, and else why not."""
    if shutil.which("bwrap") is None:
        return "there is no program bwrap"
    argv = ["bwrap", *_OPTIONS, "--ro-bind", "/", "/", "true"]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=_PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode:
        return done.stderr.decode("utf-8", "replace").strip() or f"bwrap ended with exit code {done.returncode}"
    return None
