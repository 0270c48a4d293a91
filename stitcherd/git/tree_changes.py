"""Changes of a tree: what differs from a base, which of it was there before an agent worked, and the size of it."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct

# No diff driver, text conversion or attribute of the repository may decide what is shown.
DIFF_TREE = ("diff-tree", "-r", "--no-ext-diff", "--no-textconv", "--submodule=short")
RAW_CHANGES = (*DIFF_TREE, "--no-renames", "--raw", "-z", "--no-abbrev")  # what `parse_changes` reads
GITLINK_MODE = "160000"
NO_MODE = "000000"  # of a path that does not exist


class TreeEntry(NamedTuple):
    """What a tree holds at a path; `mode` is NO_MODE where it holds nothing."""

    mode: str
    sha: str

    @property
    def exists(self) -> bool:
        """Whether the tree holds anything at the path."""
        return self.mode != NO_MODE

    @property
    def is_file(self) -> bool:
        """Whether the path is a regular file."""
        return self.mode.startswith("100")


class TreeChange(NamedTuple):
    """One path that differs."""

    before: TreeEntry
    after: TreeEntry


TreeChanges: TypeAlias = Mapping[bytes, TreeChange]


class DiffStat(Struct, frozen=True):
    """The size of a change in files and lines; a binary file counts as a file without lines."""

    files: int
    additions: int
    deletions: int

    def __str__(self) -> str:
        return f"+{self.additions} -{self.deletions} in {self.files} file{'' if self.files == 1 else 's'}"


def parse_changes(raw: bytes) -> dict[bytes, TreeChange]:
    """Return the changes of a diff without renames, as of `--raw -z --no-abbrev`; raise ValueError for another text."""
    fields = iter(raw.split(b"\0")[:-1])
    changes = {}
    for words, path in zip(fields, fields, strict=True):
        old_mode, mode, old_sha, sha, _status = words.decode().removeprefix(":").split(" ")
        changes[path] = TreeChange(TreeEntry(old_mode, old_sha), TreeEntry(mode, sha))
    return changes


def without_conflicts(reverted: Collection[bytes], changes: TreeChanges) -> dict[bytes, TreeChange]:
    """Return those changes that can be reverted while the others stay.

    A file that was replaced by a directory cannot come back while the directory holds a file of another change, nor
    a directory while another change has a file in its place.
    """
    found = {path: changes[path] for path in reverted}
    kept = {path for path, change in changes.items() if path not in found and change.after.exists}
    directories = {parent for path in kept for parent in _parents(path)}
    return {
        path: change
        for path, change in found.items()
        if not change.before.exists or (path not in directories and kept.isdisjoint(_parents(path)))
    }


def reverting_entries(changes: TreeChanges) -> bytes:
    """Return the input of `update-index -z --index-info` that reverts changes: removals first, to make room."""
    ordered = sorted(changes.items(), key=lambda item: item[1].before.exists)
    return b"".join(b"%s %s\t%s\0" % (*(word.encode() for word in change.before), path) for path, change in ordered)


def _parents(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:count]) for count in range(1, len(parts))]
