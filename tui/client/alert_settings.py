"""How the full screen draws attention to jobs while nobody looks at it, in a file of the user."""

import os
from pathlib import Path

from msgspec import Struct

ALERTS_FILE = "alerts"
_NONE = "none"


class AlertSettings(Struct, frozen=True):
    """Whether the terminal shows a desktop notice and rings its bell when a job fails or begins to wait."""

    notices: bool = True
    bell: bool = False


def load_alerts(config: Path) -> AlertSettings:
    """Return what was selected last, or the defaults if nothing was."""
    try:
        words = (config / ALERTS_FILE).read_text("utf-8").split()
    except (OSError, UnicodeDecodeError):
        return AlertSettings()
    return AlertSettings(notices="notices" in words, bell="bell" in words)


def save_alerts(config: Path, alerts: AlertSettings) -> None:
    """Store what was selected, atomically; raises OSError."""
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = [name for name in AlertSettings.__struct_fields__ if getattr(alerts, name)]
    new = config / f"{ALERTS_FILE}.new"
    new.write_text(f"{' '.join(words) or _NONE}\n", "utf-8")
    os.replace(new, config / ALERTS_FILE)  # noqa: PTH105 (the same as Path.replace)
