"""Opens URLs in the browser of this machine, by the desktop's own program and never through a shell."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping

ANSWER_SECONDS = 2.0  # after which a program that has not failed is taken to have opened the URL


def find_opener(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the program that opens URLs; None without one, without a display, and over SSH."""
    if "SSH_CONNECTION" in environ:
        return None
    if sys.platform == "darwin":
        return shutil.which("open")
    shown = environ.get("WAYLAND_DISPLAY") or environ.get("DISPLAY")
    return shutil.which("xdg-open", path=environ.get("PATH")) if shown else None


def open_in_browser(url: str) -> bool:
    """Open a URL that `tui.text.links.web_url` returned; return whether there is something that can."""
    opener = find_opener()
    if opener is None:
        return False
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen([opener, url], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)
    except OSError:
        return False
    try:
        return process.wait(ANSWER_SECONDS) == 0
    except subprocess.TimeoutExpired:  # some stay as long as the browser does
        threading.Thread(target=process.wait, daemon=True).start()
        return True
