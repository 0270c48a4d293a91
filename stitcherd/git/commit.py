"""Looks at a commit of an attempt, and publishes it: the size of its change, its patch, its diff for people."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.tree_changes import DIFF_TREE, RAW_CHANGES, DiffStat, parse_changes

_SUMMARY = re.compile(rb" (\d+) files? changed(?:, (\d+) insertions?\(\+\))?(?:, (\d+) deletions?\(-\))?")
_PIECE_MAX = 2**20  # bytes of a patch that are read at once
_WORKFLOWS = b".github/workflows"
_NOT_ADDED = re.compile(rb"^(?:\+|[^+\n].*\n?)", re.MULTILINE)  # the mark of an added line, and all other lines


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
    if checkout.gate_base == checkout.base:
        return await _list_made(checkout, sha)
    return await checkout.run_git(*RAW_CHANGES, str(checkout.gate_base), sha)


async def _list_made(checkout: Checkout, sha: str) -> bytes:
    """Return what differs from the base to a commit like `list_changed`, read once."""
    if sha not in checkout.entries:
        checkout.entries[sha] = await checkout.run_git(*RAW_CHANGES, str(checkout.base), sha)
    return checkout.entries[sha]


async def changes_workflows(checkout: Checkout, sha: str) -> bool:
    """Say whether a commit changes anything of its base among the workflows of GitHub. Raises GitError."""
    changed = parse_changes(await _list_made(checkout, sha))
    return any(path == _WORKFLOWS or path.startswith(_WORKFLOWS + b"/") for path in changed)


async def diff_stat(checkout: Checkout, sha: str) -> DiffStat:
    """Return the size of the change from the base to a commit; a renamed file counts once. Raises GitError."""
    if sha not in checkout.stats:
        words = (*DIFF_TREE, "-M", "--shortstat", str(checkout.base), sha)
        checkout.stats[sha] = _parse_stat(await checkout.run_git(*words))
    return checkout.stats[sha]


async def write_patch(checkout: Checkout, sha: str) -> CommitPatch:
    """Write the change from the base to a commit; every file is included as text. Raises GitError."""
    file = checkout.directory / "diff.patch"
    file.unlink(missing_ok=True)  # git would follow a link in its place
    words = (*DIFF_TREE, "--no-renames", "-p", "-U0", "--text", f"--output={file}")
    await checkout.run_git(*words, str(checkout.base), sha)
    return CommitPatch(await _list_made(checkout, sha), file)


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
    await checkout.run_git(*DIFF_TREE, "-M", "--stat=100", "-p", f"--output={file}", str(checkout.base), sha)
    with file.open("rb") as lines:
        checkout.stats[sha] = _parse_stat(b"".join(iter(lines.readline, b"\n")))
    return file


def _parse_stat(output: bytes) -> DiffStat:
    """Return the sizes in the last line of `--stat` or `--shortstat`, which git leaves out where nothing differs."""
    lines = output.splitlines()
    if not lines:
        return DiffStat(0, 0, 0)
    found = _SUMMARY.fullmatch(lines[-1])
    if found is None:
        raise GitError(f"git wrote no summary of a change: {lines[-1].decode(errors='replace')}")
    return DiffStat(*(int(number or 0) for number in found.groups()))
