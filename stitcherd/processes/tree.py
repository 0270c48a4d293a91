"""Which processes belong to a job, and their end; read from /proc, so that it also works after a crash."""

import asyncio
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from logging import getLogger
from pathlib import Path
from time import monotonic
from typing import NamedTuple

log = getLogger(__name__)

KERNEL_THREAD = 0x00200000  # PF_KTHREAD in field 9 of /proc/PID/stat: proc(5), linux/sched.h
KILL_TIMEOUT_SECONDS = 1.0  # seconds of SIGKILL before a process that cannot die (sleeping in a driver) is given up
# A sandbox takes all that is inside along when it goes, so it is not asked to: it goes by itself, after them. Any
# process can call itself so; what it gains is that nobody asks before it is killed.
SANDBOX_NAME = b"bwrap"


class Process(NamedTuple):
    """One living process; `started`, in clock ticks since boot, tells it from a later one of the same pid."""

    pid: int
    started: int
    parent: int
    session: int
    terminal: int  # 0: it has none
    name: bytes  # its own choice


def read_process(pid: int) -> Process | None:
    """Return what /proc says of a process, or None if it is gone, a zombie or a kernel thread."""
    try:
        line = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name in parentheses may hold any, so everything is counted from the last one.
    end = line.rindex(b")")
    fields = line[end + 2 :].split()
    # A program whose first thread has left looks like a zombie too; its other threads count.
    dead = fields[0] in {b"Z", b"X"} and int(fields[17]) <= 1
    if dead or int(fields[6]) & KERNEL_THREAD:
        return None
    name = line[line.index(b"(") + 1 : end]
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), int(fields[4]), name)


def find_job_processes(
    job_id: str, root: Path, leaders: Collection[int] = (), *, among_ours: bool = False
) -> list[Process]:
    """Return the living processes of a job, without ourselves and our ancestors.

    A process is the job's when it carries STITCHER_JOB_ID, sits below `root` (by working directory, root or
    program), is in the session of one of `leaders`, or descends from such a one. `among_ours` looks only at what
    descends from us: far quicker, and all there is where we are the reaper of orphans.
    Raises ValueError for a `root` that would be everybody's.
    """
    place = os.path.realpath(root)
    if place == "/":
        raise ValueError("A job's directory cannot be the root of the file system.")
    pids = descendants(os.getpid()) if among_ours else [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (names are all we need)
    living = {process.pid: process for process in map(read_process, pids) if process}
    spared = _ancestors(living)
    mark = f"STITCHER_JOB_ID={job_id}".encode()
    family = {
        process.pid
        for process in living.values()
        if process.pid not in spared
        and (process.session in leaders or _has_job_variable(process.pid, mark) or _is_below(process, place))
    }
    grown = True
    while grown:
        children = {p.pid for p in living.values() if p.parent in family and p.pid not in spared}
        grown = not children <= family
        family |= children
    return [living[pid] for pid in family]


def descendants(of: int) -> set[int]:
    """Return a process and all that descend from it.

    The kernel's list of children may skip one while another exits (proc(5), task/TID/children), so it is read twice.
    """
    return {*_list_descendants(of), *_list_descendants(of)}


async def end_all(
    job_id: str, root: Path, grace: float = 0.7, leaders: Collection[int] = (), *, among_ours: bool = False
) -> int:
    """End every process of a job and return how many there were; `among_ours` as in `find`.

    SIGTERM first; after `grace` seconds SIGKILL until a look around finds nobody, for at most a second more.
    `root` is the job's own directory; `leaders` are sessions known to be the job's.
    """
    ended: set[tuple[int, int]] = set()
    asked: set[tuple[int, int]] = set()
    began = monotonic()
    nap = 0.005
    while family := await asyncio.to_thread(
        find_job_processes, job_id, root, leaders, among_ours=among_ours and not ended
    ):
        waited = monotonic() - began
        if waited > grace + KILL_TIMEOUT_SECONDS:
            log.warning("job %s: %d processes cannot be ended", job_id, len(family))
            break
        for process in family:
            identity = (process.pid, process.started)
            ended.add(identity)
            if waited >= grace:
                _send_signal(process, signal.SIGKILL)
            elif process.name != SANDBOX_NAME and identity not in asked:
                asked.add(identity)
                _send_signal(process, signal.SIGTERM)
        await asyncio.sleep(min(nap, max(grace - waited, 0.005)))
        nap = min(nap * 2, 0.05)
    return len(ended)


def _list_descendants(of: int) -> list[int]:
    found = [of]
    for pid in found:
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (names are all we need)
                with suppress(OSError):
                    found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found


def _ancestors(living: dict[int, Process]) -> set[int]:
    spared = {1}
    pid = os.getpid()
    while pid not in spared:
        spared.add(pid)
        pid = living[pid].parent if pid in living else 1
    return spared


def _has_job_variable(pid: int, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _is_below(process: Process, place: str) -> bool:
    # A person who looks into a checkout has a terminal; commands of ours never get one from us.
    if process.terminal:
        return False
    for link in ("cwd", "root", "exe"):
        with suppress(OSError):
            target = os.readlink(f"/proc/{process.pid}/{link}")  # noqa: PTH115 (a deleted place ends in ' (deleted)')
            if target == place or target.startswith(place + "/") or target == place + " (deleted)":
                return True
    return False


def _send_signal(process: Process, number: signal.Signals) -> None:
    with suppress(OSError):
        handle = os.pidfd_open(process.pid)
        try:
            now = read_process(process.pid)
            if now and now.started == process.started:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)
