"""The theme that was selected in the full screen, in a file of the user."""

import os
from pathlib import Path

THEME_FILE = "theme"
THEME_VARIABLE = "STITCHER_THEME"


def load_theme(config: Path) -> str:
    """Return the name of the theme that was selected last, or "" if none was."""
    try:
        return (config / THEME_FILE).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def save_theme(config: Path, name: str) -> None:
    """Store the name of a theme, atomically; raises OSError."""
    config.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = config / f"{THEME_FILE}.new"
    new.write_text(f"{name}\n", "utf-8")
    os.replace(new, config / THEME_FILE)  # noqa: PTH105 (the same as Path.replace)
