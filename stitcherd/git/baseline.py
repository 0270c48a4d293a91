"""The baseline of a work tree: how it differed from its base before an agent worked in it.

What `prepare` wrote, and what git itself converts while it adds a file, is no change of the agent.
"""

import asyncio
import os
import stat
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from stitcherd.git import GitError
from stitcherd.git.snapshot import CTIME_CLOCK
from stitcherd.git.tree_changes import TreeChanges, parse_changes

BASELINE_FILE = "baseline"  # in the directory of an attempt
CLOCK_POLL_SECONDS, CLOCK_POLLS_MAX = 0.001, 1000  # a tick takes 1-10 ms


class _Stored(Struct, frozen=True):
    changes: bytes  # as of `diff-index --raw -z`
    ignored: bytes  # as of `ls-files -z`


class Baseline(Struct, frozen=True):
    """The changes and the ignored files and directories that were there at `taken_at`, a ctime in nanoseconds."""

    changes: TreeChanges = {}
    ignored: frozenset[bytes] = frozenset()
    taken_at: int = 0

    def untouched(self, changes: TreeChanges, work: Path) -> set[bytes]:
        """Return the paths of those changes of the work tree that no agent made."""
        same = {path for path, change in changes.items() if self.changes.get(path) == change}
        if not self.ignored:
            return same
        # A file that was ignored is in no tree of the baseline; the agent may have changed what is ignored.
        added = (path for path, change in changes.items() if not change.before.exists and path not in same)
        return same | {path for path in added if self._was_ignored(path) and self._is_older(work, path)}

    def untouched_files(self, work: Path) -> set[bytes]:
        """Return those files of the baseline's changes that nobody has touched since."""
        return {path for path in self.changes if self._is_older(work, path)}

    def _was_ignored(self, path: bytes) -> bool:
        parts = path.split(b"/")
        above = (b"/".join(parts[:count]) + b"/" for count in range(1, len(parts)))
        return path in self.ignored or not self.ignored.isdisjoint(above)

    def _is_older(self, work: Path, path: bytes) -> bool:
        """Say whether a file has not been changed since; no program can set a ctime (inode(7))."""
        try:
            return (work / os.fsdecode(path)).lstat().st_ctime_ns <= self.taken_at
        except OSError:
            return False


async def write_baseline(path: Path, changes: bytes, ignored: bytes) -> Baseline:
    """Write a baseline into a file, and return it once every later change of a file has a later ctime."""
    path.unlink(missing_ok=True)
    path.write_bytes(msgspec.msgpack.encode(_Stored(changes, ignored)))
    baseline = _decode(path)
    for _ in range(CLOCK_POLLS_MAX):
        if time.clock_gettime_ns(CTIME_CLOCK) > baseline.taken_at:
            break
        await asyncio.sleep(CLOCK_POLL_SECONDS)
    return baseline


def read_baseline(path: Path) -> Baseline:
    """Return the baseline in a file, an empty one if there is none. Raises GitError for what we did not write."""
    try:
        return _decode(path)
    except FileNotFoundError:
        return Baseline()
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise GitError(f"The record of what `prepare` left is damaged: {error}") from error


def _decode(path: Path) -> Baseline:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path.name} is not a regular file")
        stored = msgspec.msgpack.decode(file.read(), type=_Stored)
    return Baseline(parse_changes(stored.changes), frozenset(stored.ignored.split(b"\0")[:-1]), status.st_ctime_ns)
