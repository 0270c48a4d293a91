"""Watches the rails' file, and has it read again whenever it may have changed.

The directory is watched, not the file: a file that an editor replaces by renaming takes its watch away with it.
So does a directory that is made anew, and what a symbolic link leads to may lie where nobody watches; therefore
the file is also looked at twice a second, which costs a stat or two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

from stitcherd.store.writer import StorageUnavailable

STEP_MS = 250  # of silence, after which a burst of changes is one; also how often the watcher itself wakes
BURST_MS = 500  # after which a burst is looked at, even if it goes on
LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)

Fingerprint = tuple[int, int, int, int] | None


async def watch_rails(path: Path, again: asyncio.Event, reload: Callable[[], Awaitable[bool]]) -> None:
    """Call `reload` at once, after every change of the file, and whenever `again` is set; for ever.

    While `reload` returns False, or nothing can be stored, it is called at every look.
    """
    ear: asyncio.Task[None] | None = None
    heard_in = seen = None
    settled = False
    try:
        while True:
            directory = _fingerprint(path.parent)
            if directory is None or heard_in is None or directory[:2] != heard_in[:2]:
                if ear is not None:
                    ear.cancel()
                ear, heard_in = None, directory
                if directory is not None:
                    ear = asyncio.create_task(_listen(path.parent, again))
            now = _fingerprint(path)
            if again.is_set() or now != seen or not settled:
                again.clear()
                seen, settled = now, await _settled(reload)
            await _wait(again)
    finally:
        if ear is not None:
            ear.cancel()


def _fingerprint(path: Path) -> Fingerprint:
    """Return what tells a file from what it was before: device, inode, time of change (ns) and size."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


async def _settled(reload: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await reload()
    except StorageUnavailable as fault:
        log.error("the rails were read, but could not be stored (%s); trying again", fault)  # noqa: TRY400 (the disk's fault, not ours)
        return False


async def _wait(again: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            await again.wait()
    except TimeoutError:
        pass


async def _listen(directory: Path, again: asyncio.Event) -> None:
    """Set `again` after every change in a directory, until it is gone."""
    try:
        async for _ in awatch(directory, watch_filter=None, debounce=BURST_MS, step=STEP_MS, recursive=False):
            again.set()
    except FileNotFoundError:
        return
    except (OSError, RuntimeError) as fault:  # no inotify to be had, mostly
        log.warning("%s cannot be watched (%s): changes are seen only twice a second", directory, fault)
