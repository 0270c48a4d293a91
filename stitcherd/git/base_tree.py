"""What committing a work tree must know of its base, and what cannot be committed on it."""

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from stitcherd.git import GitError, RunGit, UncommittableTree
from stitcherd.git.attributes import ATTRIBUTES_FILE
from stitcherd.git.lfs import find_lfs_paths, find_pointers
from stitcherd.git.tree_changes import GITLINK_MODE, TreeChanges

NAMES_SHOWN = 10
NO_COMMIT = re.compile(r"'(.+)/' does not have a commit checked out")
OUT_OF_SPACE = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS))


class BaseTree(Struct, frozen=True):
    """The submodules of a base, and whether its attributes convert files, or give some to Git LFS."""

    submodules: frozenset[bytes] = frozenset()
    has_attributes: bool = False
    mentions_lfs: bool = False
    lfs_pointers: int = 0

    def always_reverted(self, changes: TreeChanges) -> set[bytes]:
        """Return the paths of changes that are always reverted: a submodule and its place in `.gitmodules` belong."""
        return {b".gitmodules"} & changes.keys() if self.submodules else set()

    def check(self, changes: TreeChanges) -> None:
        """Raise UncommittableTree for a repository inside the tree, or a file in place of a submodule's directory."""
        if replaced := self.submodules & changes.keys():
            raise UncommittableTree(
                f"Submodules stay as they are, and a file is in the way of these: {join_names(replaced)}."
            )
        if added := [path for path, change in changes.items() if change.after.mode == GITLINK_MODE]:
            raise nested_repositories(join_names(added))


async def read_base_tree(run_git: RunGit, base: str, index: Path) -> BaseTree:
    """Return what matters of the tree of a commit; a new index is written in `index` if needed. Raises GitError."""
    blobs, submodules, attributes = {}, set(), []
    for entry in (await run_git("ls-tree", "-r", "-z", base)).split(b"\0")[:-1]:
        words, _, path = entry.partition(b"\t")
        mode, _type, sha = words.decode().split(" ")
        if mode == GITLINK_MODE:
            submodules.add(path)
            continue
        blobs[path] = sha
        if path.rpartition(b"/")[2] == ATTRIBUTES_FILE.encode():
            attributes.append(sha)
    asked = "".join(f"{sha}\n" for sha in attributes).encode()
    mentions_lfs = bool(attributes) and b"lfs" in await run_git("cat-file", "--batch", stdin=asked)
    in_lfs = []
    if mentions_lfs:
        await run_git("read-tree", base, index=index)
        in_lfs = [blobs[path] for path in await find_lfs_paths(run_git, index, blobs)]
    pointers = await find_pointers(run_git, in_lfs) if in_lfs else set()
    count = sum(blob in pointers for blob in in_lfs)
    return BaseTree(frozenset(submodules), bool(attributes), mentions_lfs, count)


def explain_failed_add(error: GitError) -> GitError:
    """Return what to raise for a `git add` that failed: by the tree, if it was not by the disk."""
    if nested := NO_COMMIT.search(str(error)):
        return nested_repositories(nested[1])
    if any(reason in str(error) for reason in OUT_OF_SPACE):
        return error
    return UncommittableTree(str(error), error.output)


def nested_repositories(names: str) -> UncommittableTree:
    """Return the error for repositories inside the tree."""
    return UncommittableTree(f"The tree holds git repositories of its own, which cannot be committed: {names}.")


def join_names(paths: Iterable[bytes]) -> str:
    """Return paths as text, sorted; of many only the first."""
    names = [os.fsdecode(path).encode(errors="replace").decode() for path in sorted(paths)]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
