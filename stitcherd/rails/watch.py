"""Watches the file of the rails and reloads it whenever it may have changed.

The directory is watched, not the file: a file that an editor replaces by a rename takes its watch with it. So does a
directory that is replaced, and the target of a symbolic link may be in a directory that is not watched; therefore the
file is also checked twice a second, which costs one or two stat calls.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

STEP_MS = 250  # without changes, after which a burst of changes is reported; also how often the watcher wakes
BURST_MS = 500  # after which a burst is reported even if it continues
CHECK_SECONDS = 0.5

log = logging.getLogger(__name__)

Fingerprint = tuple[int, int, int, int] | None


async def watch_rails(path: Path, requested: asyncio.Event, reload: Callable[[], Awaitable[bool]]) -> None:
    """Call `reload` now, after every change of the file, and whenever `requested` is set; never return.

    While `reload` returns False, it is called at every check.
    """
    listener: asyncio.Task[None] | None = None
    watched = seen = None
    done = False
    try:
        while True:
            directory = _fingerprint(path.parent)
            if directory is None or watched is None or directory[:2] != watched[:2]:
                if listener is not None:
                    listener.cancel()
                listener, watched = None, directory
                if directory is not None:
                    listener = asyncio.create_task(_listen(path.parent, requested))
            now = _fingerprint(path)
            if requested.is_set() or now != seen or not done:
                requested.clear()
                seen, done = now, await reload()
            await _wait(requested)
    finally:
        if listener is not None:
            listener.cancel()


def _fingerprint(path: Path) -> Fingerprint:
    """Return what changes when a file is replaced or written: device, inode, modification time (ns) and size."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


async def _wait(requested: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await requested.wait()
    except TimeoutError:
        pass


async def _listen(directory: Path, requested: asyncio.Event) -> None:
    """Set `requested` after every change in a directory, until it is deleted."""
    try:
        async for _ in awatch(directory, watch_filter=None, debounce=BURST_MS, step=STEP_MS, recursive=False):
            requested.set()
    except FileNotFoundError:
        return
    except (OSError, RuntimeError) as error:  # inotify is not available, mostly
        log.warning("%s cannot be watched (%s): changes are noticed only twice a second", directory, error)
