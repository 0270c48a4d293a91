"""A directory as it was at one moment: copied apart, and put back after whatever was done to it.

To copy all of it each time costs seconds where dependencies lie in it, so only what is no longer the same file is taken
from the copy. A file is the same while its inode and its ctime are: no program can set a ctime (inode(7)).
"""

import asyncio
import errno
import os
import shutil
import time
from pathlib import Path

from stitcherd import processes
from stitcherd.git.erasing import erase

COPYING = 600.0  # seconds
CLOCK_OF_CTIMES = 5  # CLOCK_REALTIME_COARSE: linux/time.h, timekeeping.c

Marks = dict[bytes, tuple[int, int]]


class Kept:
    """What `tree` held when `keep` was called; nobody else may write to it during a call here, or ever to `copy`."""

    def __init__(self, tree: Path, copy: Path) -> None:
        self._tree = tree
        self._copy = copy
        self._marks: Marks = {}

    async def keep(self) -> None:
        """Copy the directory, with all that is in it. Raises OSError."""
        await _copy(self._tree, self._copy)
        self._marks = await asyncio.to_thread(_marks, self._tree)

    async def put_back(self) -> None:
        """Make the directory what it was; links are replaced, never followed. Raises OSError."""
        try:
            await asyncio.to_thread(_put_back, self._tree, self._copy, self._marks)
        except (OSError, shutil.Error, RecursionError):  # too deep, closed to us, or no file that Python copies
            await _copy(self._copy, self._tree)
            self._marks = await asyncio.to_thread(_marks, self._tree)

    async def forget(self) -> None:
        """Delete the copy."""
        await erase(self._copy)


async def _copy(source: Path, target: Path) -> None:
    await erase(target)
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    argv = ("cp", "-a", "--reflink=auto", "--", str(source), str(target))
    ended = await processes.capture(argv, cwd=Path("/"), env=env, timeout=COPYING)
    if ended.exit.code != 0:
        said = ended.stderr.decode(errors="replace").strip()[-1000:] or f"cp {ended.exit}"
        number = errno.ENOSPC if os.strerror(errno.ENOSPC) in said else errno.EIO
        raise OSError(number, f"{source} cannot be copied: {said}")


def _marks(tree: Path) -> Marks:
    """Return what tells each file from any other; one so young that a change could leave no trace is not in it."""
    found: Marks = {}
    for at in (left := [os.fsencode(tree)]):
        with os.scandir(at) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    found[entry.path] = _mark(entry)
    now = time.clock_gettime_ns(CLOCK_OF_CTIMES)
    return {path: mark for path, mark in found.items() if mark[1] < now}


def _mark(entry: os.DirEntry[bytes]) -> tuple[int, int]:
    status = entry.stat(follow_symlinks=False)
    return status.st_ino, status.st_ctime_ns


def _put_back(tree: Path, copy: Path, marks: Marks) -> None:
    if tree.is_symlink():
        raise NotADirectoryError(tree)
    for at, source in (left := [(os.fsencode(tree), os.fsencode(copy))]):
        with os.scandir(source) as entries:
            missing = {entry.name: entry for entry in entries}
        with os.scandir(at) as entries:
            found = list(entries)
        for entry in found:
            wanted = missing.get(entry.name)
            if wanted and wanted.is_dir(follow_symlinks=False) and entry.is_dir(follow_symlinks=False):
                left.append((entry.path, wanted.path))
                del missing[entry.name]
            elif wanted and not entry.is_dir(follow_symlinks=False) and marks.get(entry.path) == _mark(entry):
                del missing[entry.name]
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 (a name may be any bytes)
        for name, wanted in missing.items():
            _take(wanted, os.path.join(at, name))  # noqa: PTH118 (as above)
        shutil.copystat(source, at)


def _take(wanted: os.DirEntry[bytes], target: bytes) -> None:
    if wanted.is_dir(follow_symlinks=False):
        shutil.copytree(os.fsdecode(wanted.path), os.fsdecode(target), symlinks=True)
    else:
        shutil.copy2(wanted.path, target, follow_symlinks=False)
