"""Looks at a commit of an attempt, and publishes it: the size of its change, its patch, its diff for people."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from stitcherd.git.checkout import Checkout

# No diff driver, text conversion or attribute of the repository may decide what is shown.
_DIFF_TREE = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--submodule=short")
_PIECE_MAX = 2**20  # bytes of a patch that are read at once
_NOT_ADDED = re.compile(rb"^(?:\+|[^+\n].*\n?)", re.MULTILINE)  # the mark of an added line, and all other lines


class DiffStat(Struct, frozen=True):
    """The size of a change in files and lines; a binary file counts as a file without lines."""

    files: int
    additions: int
    deletions: int

    def __str__(self) -> str:
        return f"+{self.additions} -{self.deletions} in {self.files} file{'' if self.files == 1 else 's'}"


class CommitPatch(Struct, frozen=True):
    """A change in git's format, without renames: `entries` as of `--raw -z`, `file` as of `-p -U0`, in the same order.

    The file may be of any size, and exists until the next patch of the same checkout is written.
    """

    entries: bytes
    file: Path


async def existing_paths(checkout: Checkout, paths: Sequence[str]) -> list[str]:
    """Return those of the paths that the gate base has; a directory ends with `/`. Raises GitError."""
    if not paths:
        return []
    entries = (await checkout.run_git("ls-tree", "-z", "--full-tree", str(checkout.gate_base), "--", *paths)).split(
        b"\0"
    )
    found = []
    for entry in entries[:-1]:
        about, _, name = entry.partition(b"\t")
        found.append(name.decode("utf-8", "surrogateescape") + ("/" if b" tree " in about else ""))
    return found


async def list_changed(checkout: Checkout, sha: str) -> bytes:
    """Return what differs from the gate base to a commit, as of `--raw -z`, without renames. Raises GitError."""
    return await checkout.run_git(*_DIFF_TREE, "--no-renames", "--raw", "-z", str(checkout.gate_base), sha)


async def diff_stat(checkout: Checkout, sha: str) -> DiffStat:
    """Return the size of the change from the base to a commit; a renamed file counts once. Raises GitError."""
    words = (*_DIFF_TREE, "-M", "--numstat", "-z", str(checkout.base), sha)
    fields = iter((await checkout.run_git(*words)).split(b"\0")[:-1])
    files = additions = deletions = 0
    for field in fields:
        added, removed, name = field.split(b"\t", 2)
        if not name:  # renamed: the old and the new name follow as fields of their own
            next(fields)
            next(fields)
        files += 1
        additions += int(added) if added != b"-" else 0
        deletions += int(removed) if removed != b"-" else 0
    return DiffStat(files, additions, deletions)


async def write_patch(checkout: Checkout, sha: str) -> CommitPatch:
    """Write the change from the base to a commit; every file is included as text. Raises GitError."""
    file = checkout.directory / "diff.patch"
    file.unlink(missing_ok=True)  # git would follow a link in its place
    words = (*_DIFF_TREE, "--no-renames")
    commits = (str(checkout.base), sha)
    entries = await checkout.run_git(*words, "--raw", "-z", *commits)
    await checkout.run_git(*words, "-p", "-U0", "--text", f"--output={file}", *commits)
    return CommitPatch(entries, file)


def added_lines(patch: CommitPatch) -> Iterator[bytes]:
    """Yield the lines that a patch adds, in pieces of at most `_PIECE_MAX` bytes."""
    is_added = in_line = False
    with patch.file.open("rb") as file:
        while piece := file.read(_PIECE_MAX):
            if in_line:
                line, end, piece = piece.partition(b"\n")
                if is_added:
                    yield line + end
                in_line = not end
            if piece:
                last = piece[piece.rfind(b"\n", 0, -1) + 1 :]
                is_added, in_line = last.startswith(b"+"), not last.endswith(b"\n")
                yield _NOT_ADDED.sub(b"", piece)


def added_names(patch: CommitPatch) -> list[bytes]:
    """Return the names of the files of a change that exist after it."""
    fields = iter(patch.entries.split(b"\0")[:-1])
    return [name for about, name in zip(fields, fields, strict=True) if not about.endswith(b"D")]


async def write_diff_file(checkout: Checkout, sha: str) -> Path:
    """Write the change from the base to a commit for people, into a file that exists until the next call.

    A file is text or binary by its content, regardless of any .gitattributes. Raises GitError.
    """
    file = checkout.directory / "shown.diff"
    file.unlink(missing_ok=True)  # as in write_patch
    await checkout.run_git(*_DIFF_TREE, "-M", "--stat=100", "-p", f"--output={file}", str(checkout.base), sha)
    return file
