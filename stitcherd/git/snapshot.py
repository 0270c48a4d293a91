"""A directory as it was at one moment: copied apart, and put back after whatever was done to it.

To copy all of it each time costs seconds where dependencies lie in it, so only what is no longer the same file is taken
from the copy. A file is the same while its inode and its ctime are: no program can set a ctime (inode(7)).
"""

import asyncio
import errno
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from stitcherd import processes

# merged from stitcherd.git.erasing: Deleting a directory that an agent has had: of any depth, any mode, and
# without following a link.


async def remove_tree(path: Path) -> None:
    """Delete a file tree, or nothing where there is none. Raises OSError."""
    if not os.path.lexists(path):
        return
    with suppress(OSError, RecursionError):
        await asyncio.to_thread(shutil.rmtree, path)  # follows no link
        return
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    delete = ("rm", "-rf", "--one-file-system", "--", str(path))
    # rm and chmod go to any depth and follow no link; directories that nobody may write are opened first.
    for argv in (delete, ("chmod", "-R", "u+rwX", "--", str(path)), delete):
        ended = await processes.capture(argv, cwd=Path("/"), env=env, timeout=600.0)
        if argv is delete and ended.exit.code == 0:
            return
    raise OSError(f"{path} cannot be deleted: {ended.stderr.decode(errors='replace').strip()}")


COPY_TIMEOUT_SECONDS = 600.0  # seconds
CTIME_CLOCK = 5  # CLOCK_REALTIME_COARSE: linux/time.h, timekeeping.c

FileIds = dict[bytes, tuple[int, int]]


class DirectorySnapshot:
    """What `tree` held when `keep` was called; nobody else may write to it during a call here, or ever to `copy`."""

    def __init__(self, tree: Path, copy: Path) -> None:
        self._tree = tree
        self._copy = copy
        self._marks: FileIds = {}

    async def keep(self) -> None:
        """Copy the directory, with all that is in it. Raises OSError."""
        await _copy_tree(self._tree, self._copy)
        self._marks = await asyncio.to_thread(_file_ids, self._tree)

    async def put_back(self) -> None:
        """Make the directory what it was; links are replaced, never followed. Raises OSError."""
        try:
            await asyncio.to_thread(_restore_tree, self._tree, self._copy, self._marks)
        except (OSError, shutil.Error, RecursionError):  # too deep, closed to us, or no file that Python copies
            await _copy_tree(self._copy, self._tree)
            self._marks = await asyncio.to_thread(_file_ids, self._tree)

    async def forget(self) -> None:
        """Delete the copy."""
        await remove_tree(self._copy)


async def _copy_tree(source: Path, target: Path) -> None:
    await remove_tree(target)
    env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    argv = ("cp", "-a", "--reflink=auto", "--", str(source), str(target))
    ended = await processes.capture(argv, cwd=Path("/"), env=env, timeout=COPY_TIMEOUT_SECONDS)
    if ended.exit.code != 0:
        said = ended.stderr.decode(errors="replace").strip()[-1000:] or f"cp {ended.exit}"
        number = errno.ENOSPC if os.strerror(errno.ENOSPC) in said else errno.EIO
        raise OSError(number, f"{source} cannot be copied: {said}")


def _file_ids(tree: Path) -> FileIds:
    """Return what tells each file from any other; one so young that a change could leave no trace is not in it."""
    found: FileIds = {}
    for at in (left := [os.fsencode(tree)]):
        with os.scandir(at) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    found[entry.path] = _file_id(entry)
    now = time.clock_gettime_ns(CTIME_CLOCK)
    return {path: mark for path, mark in found.items() if mark[1] < now}


def _file_id(entry: os.DirEntry[bytes]) -> tuple[int, int]:
    status = entry.stat(follow_symlinks=False)
    return status.st_ino, status.st_ctime_ns


def _restore_tree(tree: Path, copy: Path, marks: FileIds) -> None:
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
            elif wanted and not entry.is_dir(follow_symlinks=False) and marks.get(entry.path) == _file_id(entry):
                del missing[entry.name]
            elif entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 (a name may be any bytes)
        for name, wanted in missing.items():
            _copy_entry(wanted, os.path.join(at, name))  # noqa: PTH118 (as above)
        shutil.copystat(source, at)


def _copy_entry(wanted: os.DirEntry[bytes], target: bytes) -> None:
    if wanted.is_dir(follow_symlinks=False):
        shutil.copytree(os.fsdecode(wanted.path), os.fsdecode(target), symlinks=True)
    else:
        shutil.copy2(wanted.path, target, follow_symlinks=False)
