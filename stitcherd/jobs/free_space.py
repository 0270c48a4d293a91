"""The reserve of free space in the file system of the state directory: no job starts while less is free."""

import os
from pathlib import Path

from shared.units import format_size

RESERVE_MAX = 512 * 2**20  # bytes
RESERVE_SHARE = 50  # of a small file system the reserve is this part: 2 %


def shortage_reason(state_dir: Path) -> str | None:
    """Return why no job may start for lack of space, in the same words as long as that lasts; None if there is enough.

    A job that filled the disk would fail, and the daemon could not store what others do.
    """
    try:
        status = os.statvfs(state_dir)
    except OSError:  # whatever it is, the job reports it
        return None
    reserve = min(RESERVE_MAX, status.f_blocks * status.f_frsize // RESERVE_SHARE)
    if status.f_bavail * status.f_frsize >= reserve:
        return None
    return f"storage: less than {format_size(reserve)} are free in {state_dir}"
