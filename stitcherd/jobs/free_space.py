"""The reserve of free space in the file systems of the state and of the checkouts: no job starts while less is free.

At start, and hourly, the checkouts of jobs that have ended are deleted early, one after the other, while less is free.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path

from shared.ids import short_id
from shared.units import format_size
from stitcherd import processes
from stitcherd.config.settings import DaemonSettings
from stitcherd.git.snapshot import remove_tree
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.opening import read_expendable
from stitcherd.store.sqlite import DATABASE

RESERVE_MAX = 512 * 2**20  # bytes
RESERVE_SHARE = 50  # of a small file system the reserve is this part: 2 %

log = logging.getLogger(__name__)


def shortage_reason(daemon: DaemonSettings) -> str | None:
    """Return why no job may start for lack of space, in the same words as long as that lasts; None if there is enough.

    A job that filled the disk would fail, and the daemon could not store what others do.
    """
    places = (Path(daemon.state_dir), daemon.checkouts_dir)
    return next((reason for place in places if (reason := _shortage_at(place))), None)


async def make_room_at_start(daemon: DaemonSettings) -> None:
    """Delete checkouts that no job needs while space is short, before the store is opened: it may need that space."""
    directory = daemon.checkouts_dir
    if shortage_reason(daemon) is None or not directory.is_dir():
        return
    names = [entry.name for entry in directory.iterdir()]
    expendable = [name for name in names if name.startswith(".")]  # of completed jobs, moved aside
    database = Path(daemon.state_dir) / DATABASE
    try:
        expendable += read_expendable(database, names) if database.exists() else []
    except StorageUnavailable as error:
        log.warning("which checkouts are not needed cannot be read: %s", error)
    await delete_checkouts(daemon, expendable)


async def delete_checkouts(daemon: DaemonSettings, names: Iterable[str]) -> None:
    """Delete the named checkouts, one after the other, until space is no longer short."""
    for name in names:
        if shortage_reason(daemon) is None:
            return
        path = daemon.checkouts_dir / name
        try:
            await processes.end_all(name, path)
            await remove_tree(path)
            log.warning("job %s: its checkout was deleted to make room", short_id(name))
        except OSError as error:
            log.warning("job %s: no room can be made: %s", short_id(name), error)


def _shortage_at(directory: Path) -> str | None:
    try:
        status = os.statvfs(directory)
    except OSError:  # whatever it is, the job reports it
        return None
    reserve = min(RESERVE_MAX, status.f_blocks * status.f_frsize // RESERVE_SHARE)
    if status.f_bavail * status.f_frsize >= reserve:
        return None
    return f"storage: less than {format_size(reserve)} are free in {directory}"
