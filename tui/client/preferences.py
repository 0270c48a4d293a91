"""What was selected in the full screen, in files of the user: the theme, and how it alerts."""

import os
from pathlib import Path

from msgspec import Struct

THEME_FILE = "theme"
THEME_VARIABLE = "STITCHER_THEME"
ALERTS_FILE = "alerts"
_NO_ALERTS = "none"


class AlertSettings(Struct, frozen=True):
    """Whether the terminal shows a desktop notice and rings its bell when a job fails or begins to wait."""

    notices: bool = True
    bell: bool = False


def load_theme(config: Path) -> str:
    """Return the name of the theme that was selected last, or "" if none was."""
    return _read(config / THEME_FILE)


def save_theme(config: Path, name: str) -> None:
    """Store the name of a theme; raises OSError."""
    save_file(config / THEME_FILE, f"{name}\n")


def load_alerts(config: Path) -> AlertSettings:
    """Return what was selected last, or the defaults if nothing was."""
    words = _read(config / ALERTS_FILE).split()
    return AlertSettings(notices="notices" in words, bell="bell" in words) if words else AlertSettings()


def save_alerts(config: Path, alerts: AlertSettings) -> None:
    """Store what was selected; raises OSError."""
    words = [name for name in AlertSettings.__struct_fields__ if getattr(alerts, name)]
    save_file(config / ALERTS_FILE, f"{' '.join(words) or _NO_ALERTS}\n")


def save_file(path: Path, text: str) -> None:
    """Replace a file of the user atomically, and make its directory if it is missing; raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, "utf-8")
    os.replace(new, path)  # noqa: PTH105 (the same as Path.replace)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
