"""The size of what a commit would add: found before git reads the files, which takes long for huge ones."""

import asyncio
import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

from shared.units import format_size
from stitcherd.git import RunGit, UncommittableTree

ADDED_MAX = 256 * 2**20  # bytes; git takes some seconds for as many


async def check_added_size(run_git: RunGit, tree: Path, base: str, exempt: Collection[bytes] = ()) -> None:
    """Raise UncommittableTree if the files of a work tree, as `git add` would find them, are much larger than before.

    The index must hold the base; the files `exempt` are not counted. A sparse file counts with its length, since git
    reads all of it. Raises GitError.
    """
    names = (await run_git("ls-files", "-z", "--cached", "--others", "--exclude-standard", tree=tree)).split(b"\0")
    sizes = await asyncio.to_thread(_file_sizes, tree, [name for name in names if name not in exempt])
    if sum(sizes.values()) <= ADDED_MAX:
        return
    before = _blob_sizes(await run_git("ls-tree", "-r", "-l", "-z", base))
    added = {name: max(0, size - before.get(name, 0)) for name, size in sizes.items()}
    total = sum(added.values())
    if total > ADDED_MAX:
        largest = max(added, key=lambda name: added[name])
        raise UncommittableTree(
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
