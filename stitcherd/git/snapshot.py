"""Snapshots of a directory, and the removal of directories: of any depth and mode, without following a link.

To copy everything back each time takes seconds for a directory with dependencies, so restoring copies only what is no
longer the same file. A file is the same while its inode and its ctime are: no program can set a ctime (inode(7)).
"""

import asyncio
import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from stitcherd import processes

COPY_TIMEOUT_SECONDS = 600.0
REMOVE_TIMEOUT_SECONDS = 600.0
LARGE_TREE = 300  # files
CTIME_CLOCK = 5  # CLOCK_REALTIME_COARSE: linux/time.h, timekeeping.c

FileIds: TypeAlias = dict[bytes, tuple[int, int]]  # inode and ctime, by path


class DirectorySnapshot:
    """What a directory held when `take` was called.

    Nobody else may write to the directory during a call, nor to the copy at any time.
    """

    def __init__(self, directory: Path, copy: Path) -> None:
        self._directory = directory
        self._copy = copy
        self._ids: FileIds = {}

    async def take(self) -> None:
        """Copy the directory with all its content. Raises OSError."""
        await _copy_tree(self._directory, self._copy)
        self._ids = await asyncio.to_thread(_file_ids, self._directory)

    async def restore(self) -> None:
        """Restore the directory; links are replaced, never followed. Raises OSError."""
        try:
            await asyncio.to_thread(_restore_tree, self._directory, self._copy, self._ids)
        except (OSError, shutil.Error, RecursionError):  # too deep, not readable, or a type that Python cannot copy
            await _copy_tree(self._copy, self._directory)
            self._ids = await asyncio.to_thread(_file_ids, self._directory)

    async def remove(self) -> None:
        """Delete the copy."""
        await remove_tree(self._copy)


async def remove_tree(path: Path) -> None:
    """Delete a file or a directory with its content; do nothing if there is none. Raises OSError."""
    if not os.path.lexists(path):
        return
    if await asyncio.to_thread(_remove_small, path):
        return
    # For thousands of files a program takes a quarter of the time, and none of this process.
    delete = ("rm", "-rf", "--one-file-system", "--", str(path))
    # rm and chmod work at any depth and follow no link; chmod makes directories without write permission writable.
    for argv in (delete, ("chmod", "-R", "u+rwX", "--", str(path)), delete):
        ended = await _run(argv, REMOVE_TIMEOUT_SECONDS)
        if argv is delete and ended.exit.code == 0:
            return
    raise OSError(f"{path} cannot be deleted: {ended.stderr.decode(errors='replace').strip()}")


def _remove_small(path: Path) -> bool:
    """Delete a directory, and return whether it is gone; False where it is large, or Python cannot delete it."""
    if _is_large(path):
        return False
    with suppress(OSError, RecursionError):
        shutil.rmtree(path)  # follows no link
        return True
    return False


def _is_large(tree: Path) -> bool:
    """Say whether a directory holds more than LARGE_TREE files; False where that cannot be known."""
    seen = 0
    with suppress(OSError):
        for directory in (directories := [os.fsencode(tree)]):
            with os.scandir(directory) as entries:
                for entry in entries:
                    seen += 1
                    if seen > LARGE_TREE:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.path)
    return False


async def _copy_tree(source: Path, target: Path) -> None:
    await remove_tree(target)
    ended = await _run(("cp", "-a", "--reflink=auto", "--", str(source), str(target)), COPY_TIMEOUT_SECONDS)
    if ended.exit.code != 0:
        reason = ended.stderr.decode(errors="replace").strip()[-1000:] or f"cp {ended.exit}"
        number = errno.ENOSPC if os.strerror(errno.ENOSPC) in reason else errno.EIO
        raise OSError(number, f"{source} cannot be copied: {reason}")


async def _run(argv: tuple[str, ...], seconds: float) -> processes.Captured:
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    try:
        return await processes.capture(argv, cwd=Path("/"), env=env, timeout=seconds)
    except processes.CannotStart as error:
        raise OSError(errno.EAGAIN, str(error)) from error


def _file_ids(tree: Path) -> FileIds:
    """Return the ids of all files but those so new that a change would not show in their ctime."""
    found: FileIds = {}
    for directory in (directories := [os.fsencode(tree)]):
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(entry.path)
                else:
                    found[entry.path] = _file_id(entry)
    now = time.clock_gettime_ns(CTIME_CLOCK)
    return {path: file_id for path, file_id in found.items() if file_id[1] < now}


def _file_id(entry: os.DirEntry[bytes]) -> tuple[int, int]:
    status = entry.stat(follow_symlinks=False)
    return status.st_ino, status.st_ctime_ns


def _restore_tree(tree: Path, copy: Path, ids: FileIds) -> None:
    if tree.is_symlink():
        raise NotADirectoryError(tree)
    for directory, source in (pairs := [(os.fsencode(tree), os.fsencode(copy))]):
        with os.scandir(source) as entries:
            missing = {entry.name: entry for entry in entries}
        with os.scandir(directory) as entries:
            found = list(entries)
        for entry in found:
            wanted = missing.get(entry.name)
            if wanted and wanted.is_dir(follow_symlinks=False) and entry.is_dir(follow_symlinks=False):
                pairs.append((entry.path, wanted.path))
                del missing[entry.name]
            elif wanted and not entry.is_dir(follow_symlinks=False) and ids.get(entry.path) == _file_id(entry):
                del missing[entry.name]
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 (a name may be any bytes)
        for name, wanted in missing.items():
            _copy_entry(wanted, os.path.join(directory, name))  # noqa: PTH118 (as above)
        shutil.copystat(source, directory)


def _copy_entry(entry: os.DirEntry[bytes], target: bytes) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.copytree(os.fsdecode(entry.path), os.fsdecode(target), symlinks=True)
    else:
        shutil.copy2(entry.path, target, follow_symlinks=False)
