"""What a command in a sandbox takes in all, looked at while it runs: the kernel's limits hold for one process or file.

A look costs little as long as there is no reason for a closer one, and errs to the side of the limit: what a command
keeps from being seen, while it could be over, counts as over.
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

FIRST_CHECK_SECONDS, CHECK_INTERVAL_MAX = 0.03, 0.25  # seconds between two looks: the first and the longest
CHECK_COST_FACTOR = 10  # times as long as a look took, the next one waits
DISK_SEARCH_SECONDS = 10.0  # seconds between two searches for what was written, where nothing hints at much
SEARCH_TIMEOUT_SECONDS = 60.0  # seconds


def watch_limits(box: SandboxSpec | None, places: Sequence[Path], home: str | None) -> processes.LimitWatch | None:
    """Return what says when a command in the box, with the writable `places`, is over a limit; None without one.

    The places lie in one file system.
    """
    if box is None or (box.memory is None and box.disk is None):
        return None
    return _LimitWatcher(box, places, home)


class _LimitWatcher:
    def __init__(self, box: SandboxSpec, places: Sequence[Path], home: str | None) -> None:
        self._box = box
        self._places = places
        self._scratches = scratch_directories(home)

    async def __call__(self, leader: int) -> str:
        written = _DiskUsage(self._places, self._box.disk) if self._box.disk is not None else None
        nap = FIRST_CHECK_SECONDS
        while True:
            await asyncio.sleep(nap)
            began = time.monotonic()
            if self._box.memory is not None:
                held = await asyncio.to_thread(measure_memory, leader, self._box.memory, self._scratches)
                if held > self._box.memory:
                    return (
                        f"it holds {format_size(held)} of memory in all, and may hold {format_size(self._box.memory)}"
                    )
            if written and (why := await written.over(leader)):
                return why
            nap = max(min(2 * nap, CHECK_INTERVAL_MAX), CHECK_COST_FACTOR * (time.monotonic() - began))


def measure_memory(leader: int, limit: int, inside: Sequence[str]) -> int:
    """Return the bytes that all processes below `leader` hold, and the file systems in memory at places `inside`.

    Pages of files do not count, since the kernel can take them back. What processes share is counted once where they
    would be over `limit` otherwise.
    """
    family = descendants(leader)
    files = max((_tmpfs_bytes(pid, inside) for pid in family), default=0)
    for look in (_quick_memory, _exact_memory):
        own = shared = 0
        for pid in family:
            it = look(pid)
            own, shared = own + it[0], shared + it[1]
        # A file of /dev/shm that is mapped is in both.
        held = own + max(shared, files)
        if held <= limit:
            break
    return held


def _quick_memory(pid: int) -> tuple[int, int]:
    found = _proc_sizes(f"/proc/{pid}/status")
    return found.get("RssAnon", 0) + found.get("VmSwap", 0), found.get("RssShmem", 0)


def _exact_memory(pid: int) -> tuple[int, int]:
    found = _proc_sizes(f"/proc/{pid}/smaps_rollup")
    if "Pss_Anon" not in found:
        return _quick_memory(pid)
    return found["Pss_Anon"] + found.get("SwapPss", 0), found.get("Pss_Shmem", 0)


def _proc_sizes(path: str) -> dict[str, int]:
    """Return the sizes that a file of /proc tells, in bytes; none for a process that is gone or closed to us."""
    found = {}
    with suppress(OSError):
        for line in Path(path).read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if value.endswith(" kB"):
                found[name] = int(value[:-3]) * 1024
    return found


def _tmpfs_bytes(pid: int, inside: Sequence[str]) -> int:
    """Return the bytes in file systems that a process in a sandbox sees; 0 for one outside."""
    root = Path(f"/proc/{pid}/root")
    used = 0
    with suppress(OSError):
        if root.samefile("/"):
            return 0
        for place in inside:
            at = os.statvfs(f"{root}{place}")
            used += (at.f_blocks - at.f_bfree) * at.f_frsize
    return used


class _DiskUsage:
    """What was written in some places since now, and is still there.

    It is looked for when as much went from the disk, and now and then, since others may make room meanwhile.
    """

    def __init__(self, places: Sequence[Path], limit: int) -> None:
        self._places = places
        self._limit = limit
        self._since = time.time()
        self._free = self._left()
        self._floor = self._free - limit
        self._due = time.monotonic() + DISK_SEARCH_SECONDS

    async def over(self, leader: int) -> str | None:
        """Say what is over the limit, if it is."""
        free = self._left()
        self._floor += max(0, free - self._free)  # somebody made room, which the command may have filled since
        self._free = free
        began = time.monotonic()
        if free >= self._floor and began < self._due:
            return None
        written = await self._written(leader)
        self._due = time.monotonic() + DISK_SEARCH_SECONDS + 50 * (time.monotonic() - began)
        if written is None:
            hidden = f"it keeps what it writes from being seen, and may write {format_size(self._limit)}"
            return hidden if free < self._floor else None
        self._floor = free - (self._limit - written)
        return (
            f"it has written {format_size(written)}, and may write {format_size(self._limit)}"
            if written > self._limit
            else None
        )

    def _left(self) -> int:
        at = os.statvfs(self._places[0])
        return at.f_bfree * at.f_frsize

    async def _written(self, leader: int) -> int | None:
        """Return the bytes, or None where we may not look."""
        argv = ("find", *map(str, self._places), "-xdev", "-newerct", f"@{self._since:.3f}", "-printf", "%i %b\n")
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
        found = await processes.capture(argv, cwd=Path("/"), env=env, timeout=SEARCH_TIMEOUT_SECONDS)
        if found.exit.timed_out or b"Permission denied" in found.stderr:
            return None
        deleted = await asyncio.to_thread(_deleted_files, descendants(leader), self._places[0].stat().st_dev)
        if deleted is None:
            return None
        blocks = {**deleted, **dict(map(_inode_and_blocks, found.stdout.splitlines()))}
        return 512 * sum(blocks.values())


def _inode_and_blocks(line: bytes) -> tuple[int, int]:
    inode, blocks = line.split()
    return int(inode), int(blocks)


def _deleted_files(family: set[int], device: int) -> dict[int, int] | None:
    """Return the blocks of the files without a name that processes hold open, by inode; None where we may not look."""
    found = {}
    for pid in family:
        with suppress(FileNotFoundError, ProcessLookupError):
            try:
                numbers = os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208 (names are all we need)
            except PermissionError:
                if read_process(pid):
                    return None
                continue  # a zombie is nobody's
            for number in numbers:
                with suppress(FileNotFoundError):
                    it = Path(f"/proc/{pid}/fd/{number}").stat()
                    if it.st_nlink == 0 and it.st_dev == device and stat.S_ISREG(it.st_mode):
                        found[it.st_ino] = it.st_blocks
    return found
