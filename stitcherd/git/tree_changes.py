"""Changes of a tree, entry by entry: what differs from a base, and which of it was there before an agent worked."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, TypeAlias

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
