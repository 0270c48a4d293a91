"""The size of what a commit would add: found before git reads the files, which takes long for huge ones."""

import asyncio
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from shared.units import format_size
from stitcherd.git import GitError

ADDED_MAX = 256 * 2**20  # bytes; git takes some seconds for as many


class RunGit(Protocol):
    """Runs git on the repository and the index that the commit is made with, and returns its stdout."""

    async def __call__(self, *words: str, tree: Path | None = None) -> bytes:
        """Run git. Raises GitError."""
        ...


async def check_added_size(run_git: RunGit, tree: Path, base: str) -> None:
    """Raise GitError if the files of a work tree, as `git add` would find them, are much larger than those of the base.

    The index must hold the base. A sparse file counts with its length, since git reads all of it.
    """
    names = (await run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", tree=tree)).split(b"\0")
    sizes = await asyncio.to_thread(_file_sizes, tree, names)
    if sum(sizes.values()) <= ADDED_MAX:
        return
    before = _blob_sizes(await run_git("ls-tree", "-r", "-l", "-z", base))
    added = {name: max(0, size - before.get(name, 0)) for name, size in sizes.items()}
    total = sum(added.values())
    if total > ADDED_MAX:
        largest = max(added, key=lambda name: added[name])
        raise GitError(
            f"The change adds {format_size(total)}, and a commit may add {format_size(ADDED_MAX)};"
            f" the largest file is {os.fsdecode(largest)!r} with {format_size(sizes[largest])}."
        )


def _file_sizes(tree: Path, names: Iterable[bytes]) -> dict[bytes, int]:
    """Return the sizes of the regular files among the names; a name may be that of a deleted file or a directory."""
    directory = os.fsencode(tree)
    sizes = {}
    for name in names:
        try:
            status = os.lstat(b"%s/%s" % (directory, name))
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            sizes[name] = status.st_size
    return sizes


def _blob_sizes(listing: bytes) -> dict[bytes, int]:
    """Return the sizes of the files in the output of `git ls-tree -l -z`."""
    sizes = {}
    for entry in listing.split(b"\0")[:-1]:
        words, name = entry.split(b"\t", 1)
        size = words.split()[3]
        if size != b"-":
            sizes[name] = int(size)
    return sizes
