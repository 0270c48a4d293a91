"""Enforces the memory and disk limits of a whole command while it runs: those of the kernel are per process or file.

A check is cheap as long as nothing calls for a closer one. What a command hides from it counts as over the limit, if it
could be.
"""

import asyncio
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shared.units import format_size
from stitcherd import processes
from stitcherd.processes.tree import descendants, read_process
from stitcherd.sandbox.bubblewrap import SandboxSpec, scratch_directories

FIRST_CHECK_SECONDS, CHECK_INTERVAL_MAX = 0.03, 0.25  # between two checks: at first, and at most
CHECK_COST_FACTOR = 10  # the next check comes after this many times the duration of the last
DISK_SEARCH_SECONDS = 10.0  # between two searches for written files, if the free space does not call for one
SEARCH_TIMEOUT_SECONDS = 60.0


def watch_limits(
    sandbox: SandboxSpec | None, directories: Sequence[Path], home: str | None
) -> processes.LimitWatch | None:
    """Return a watch on the limits of a command that can write to `directories`; None if there is no limit to watch.

    The directories must be in the same file system; `home` is as in `wrap_command`.
    """
    if sandbox is None or (sandbox.memory is None and sandbox.disk is None):
        return None
    return _LimitWatcher(sandbox, directories, home)


class _LimitWatcher:
    def __init__(self, sandbox: SandboxSpec, directories: Sequence[Path], home: str | None) -> None:
        self._sandbox = sandbox
        self._directories = directories
        self._scratch = scratch_directories(home)

    async def __call__(self, leader: int) -> str:
        memory_limit, disk_limit = self._sandbox.memory, self._sandbox.disk
        disk = _DiskUsage(self._directories, disk_limit) if disk_limit is not None else None
        delay = FIRST_CHECK_SECONDS
        while True:
            await asyncio.sleep(delay)
            began = time.monotonic()
            if memory_limit is not None:
                used = await asyncio.to_thread(measure_memory, leader, memory_limit, self._scratch)
                if used > memory_limit:
                    return f"it holds {format_size(used)} of memory in all, and may hold {format_size(memory_limit)}"
            if disk and (reason := await disk.check(leader)):
                return reason
            delay = max(min(2 * delay, CHECK_INTERVAL_MAX), CHECK_COST_FACTOR * (time.monotonic() - began))


def measure_memory(leader: int, limit: int, scratch: Sequence[str]) -> int:
    """Return the bytes of memory of all processes below `leader`, and of the tmpfs at the `scratch` directories.

    Cached file pages do not count, since the kernel can reclaim them. Shared memory is counted once if the processes
    would exceed `limit` otherwise.
    """
    pids = descendants(leader)
    tmpfs = max((_tmpfs_bytes(pid, scratch) for pid in pids), default=0)
    for measure in (_quick_memory, _exact_memory):
        private = shared = 0
        for pid in pids:
            added = measure(pid)
            private, shared = private + added[0], shared + added[1]
        # A mapped file of /dev/shm is in both.
        total = private + max(shared, tmpfs)
        if total <= limit:
            break
    return total


def _quick_memory(pid: int) -> tuple[int, int]:
    sizes = _proc_sizes(f"/proc/{pid}/status")
    return sizes.get("RssAnon", 0) + sizes.get("VmSwap", 0), sizes.get("RssShmem", 0)


def _exact_memory(pid: int) -> tuple[int, int]:
    sizes = _proc_sizes(f"/proc/{pid}/smaps_rollup")
    if "Pss_Anon" not in sizes:
        return _quick_memory(pid)
    return sizes["Pss_Anon"] + sizes.get("SwapPss", 0), sizes.get("Pss_Shmem", 0)


def _proc_sizes(path: str) -> dict[str, int]:
    """Return the sizes in a file of /proc, in bytes; empty for a process that has ended, or that we may not read."""
    sizes = {}
    with suppress(OSError):
        for line in Path(path).read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                sizes[name] = int(value[:-3]) * 1024
    return sizes


def _tmpfs_bytes(pid: int, scratch: Sequence[str]) -> int:
    """Return the bytes in the scratch directories that a process in a sandbox sees; 0 for one outside."""
    root = Path(f"/proc/{pid}/root")
    used = 0
    with suppress(OSError):
        if root.samefile("/"):
            return 0
        for directory in scratch:
            status = os.statvfs(f"{root}{directory}")
            used += (status.f_blocks - status.f_bfree) * status.f_frsize
    return used


class _DiskUsage:
    """What was written to some directories since now, and still exists.

    It is searched for when the free space has shrunk by the limit, and now and then, since others may free space.
    """

    def __init__(self, directories: Sequence[Path], limit: int) -> None:
        self._directories = directories
        self._limit = limit
        self._since = time.time()
        self._free = self._free_bytes()
        self._search_below = self._free - limit  # bytes of free space
        self._search_at = time.monotonic() + DISK_SEARCH_SECONDS

    async def check(self, leader: int) -> str | None:
        """Return how the limit is exceeded, or None."""
        free = self._free_bytes()
        self._search_below += max(0, free - self._free)  # others freed space, which the command may have filled since
        self._free = free
        began = time.monotonic()
        if free >= self._search_below and began < self._search_at:
            return None
        written = await self._written_bytes(leader)
        self._search_at = time.monotonic() + DISK_SEARCH_SECONDS + 50 * (time.monotonic() - began)
        limit = format_size(self._limit)
        if written is None:
            hidden = f"it hides what it writes, and may write {limit}"
            return hidden if free < self._search_below else None
        self._search_below = free - (self._limit - written)
        return f"it has written {format_size(written)}, and may write {limit}" if written > self._limit else None

    def _free_bytes(self) -> int:
        status = os.statvfs(self._directories[0])
        return status.f_bfree * status.f_frsize

    async def _written_bytes(self, leader: int) -> int | None:
        """Return the bytes written, or None if we may not look everywhere."""
        argv = ("find", *map(str, self._directories), "-xdev", "-newerct", f"@{self._since:.3f}", "-printf", "%i %b\n")
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        found = await processes.capture(argv, cwd=Path("/"), env=env, timeout=SEARCH_TIMEOUT_SECONDS)
        if found.exit.timed_out or b"Permission denied" in found.stderr:
            return None
        device = self._directories[0].stat().st_dev
        deleted = await asyncio.to_thread(_deleted_files, descendants(leader), device)
        if deleted is None:
            return None
        blocks = {**deleted, **dict(map(_inode_and_blocks, found.stdout.splitlines()))}
        return 512 * sum(blocks.values())


def _inode_and_blocks(line: bytes) -> tuple[int, int]:
    inode, blocks = line.split()
    return int(inode), int(blocks)


def _deleted_files(pids: set[int], device: int) -> dict[int, int] | None:
    """Return the blocks of deleted files that processes hold open, by inode; None if we may not look."""
    blocks = {}
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            try:
                descriptors = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 (names are all we need)
            except PermissionError:
                if read_process(pid):
                    return None
                continue  # a zombie has no owner
            for descriptor in descriptors:
                with suppress(FileNotFoundError):
                    status = Path(f"/proc/{pid}/fd/{descriptor}").stat()
                    if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode):
                        blocks[status.st_ino] = status.st_blocks
    return blocks
