"""Files that Git LFS stores elsewhere: the repository has a pointer in their place, which must stay one."""

from collections.abc import Collection, Iterable
from pathlib import Path

from stitcherd.git import RunGit

POINTER = b"version https://git-lfs.github.com/spec/v1\n"
POINTER_SIZE_MAX = 1024  # bytes: docs/spec.md of git-lfs


async def find_lfs_paths(run_git: RunGit, index: Path, paths: Iterable[bytes]) -> set[bytes]:
    """Return the paths that the attributes in an index give to Git LFS. Raises GitError."""
    words = ("check-attr", "--cached", "-z", "--stdin", "filter")
    fields = (await run_git(*words, index=index, stdin=b"".join(path + b"\0" for path in paths))).split(b"\0")
    return {path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == b"lfs"}


async def find_pointers(run_git: RunGit, blobs: Collection[str]) -> set[str]:
    """Return those of the blobs that are pointers. Raises GitError."""
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    sizes = await run_git("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked)
    short = [sha for sha, size in map(bytes.split, sizes.splitlines()) if int(size) <= POINTER_SIZE_MAX]
    contents = await run_git("cat-file", "--batch=%(objectname) %(objectsize)", stdin=b"\n".join([*short, b""]))
    found, at = set(), 0
    while at < len(contents):
        sha, size = contents[at : contents.index(b"\n", at)].split()
        start = contents.index(b"\n", at) + 1
        if contents.startswith(POINTER, start):
            found.add(sha.decode())
        at = start + int(size) + 1
    return found
