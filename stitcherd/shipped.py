"""The files that ship with Stitcher: its default configuration, wherever it is installed."""

from pathlib import Path


def shipped(name: str) -> Path:
    """Return a file of `config/`: inside the package where it was installed from a wheel, else beside it."""
    here = Path(__file__).parent
    installed = here / "config" / name
    return installed if installed.exists() else here.parent / "config" / name
