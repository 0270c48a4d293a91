"""Directories in which nobody else can put anything, also where they are below one that everybody can write to."""

import os
import stat
from pathlib import Path

SHARED_MODES = stat.S_ISVTX | stat.S_IWOTH


class SharedDirectory(Exception):
    """A directory belongs to somebody else, or others can write to it."""


def make_private(directory: Path) -> None:
    """Create a directory of mode 0700, or give the one that is there this mode. Raises SharedDirectory and OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    owners = {status.st_uid, directory.lstat().st_uid}  # a link too must be ours
    if owners != {os.getuid()} or status.st_mode & SHARED_MODES:
        raise SharedDirectory(f"{directory} is shared with others")
    directory.chmod(0o700)
