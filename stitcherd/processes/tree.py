"""Finds the processes of a job in /proc, which also works after a crash of the daemon, and ends them."""

import asyncio
import errno
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
KILL_TIMEOUT_SECONDS = 1.0  # after SIGKILL, before a process that cannot be killed (sleeping in a driver) is given up
# A sandbox gets no SIGTERM: it would kill all processes inside, and it exits by itself after them. Any process can take
# this name; it only loses the SIGTERM before its SIGKILL.
SANDBOX_NAME = b"bwrap"
JOB_VARIABLE = b"STITCHER_JOB_ID="


class Process(NamedTuple):
    """A running process; `started`, in clock ticks since boot, distinguishes it from a later one of the same pid."""

    pid: int
    started: int
    parent: int
    session: int
    terminal: int  # 0 for none
    name: bytes  # set by the process itself


def read_process(pid: int, *, strict: bool = False) -> Process | None:
    """Return a process from /proc, or None if it has ended, is a zombie or is a kernel thread.

    With `strict`, it raises OSError where this cannot be known, for lack of descriptors.
    """
    line = _read_file(f"/proc/{pid}/stat", strict=strict)
    if line is None:
        return None
    # The name is in parentheses and may contain some, so fields are counted from the last one.
    end = line.rindex(b")")
    fields = line[end + 2 :].split()
    # A program whose first thread has ended looks like a zombie too, but has other threads.
    dead = fields[0] in {b"Z", b"X"} and int(fields[17]) <= 1
    if dead or int(fields[6]) & KERNEL_THREAD:
        return None
    name = line[line.index(b"(") + 1 : end]
    return Process(pid, int(fields[19]), int(fields[1]), int(fields[3]), int(fields[4]), name)


def find_job_processes(
    job_id: str,
    root: Path,
    leaders: Collection[int] = (),
    *,
    descendants_only: bool = False,
    without_descendants: bool = False,
) -> list[Process]:
    """Return the running processes of a job, without this process and its ancestors.

    A process belongs to the job if it has the job's STITCHER_JOB_ID in its environment, is below `root` (by working
    directory, root directory or program), is in the session of one of `leaders`, or descends from such a process.
    `descendants_only` considers only our own descendants: far quicker, and complete where we are the subreaper.
    `without_descendants` leaves them out: it is for what an earlier daemon left.
    Raises ValueError if `root` is the root of the file system.
    """
    directory = os.path.realpath(root)
    if directory == "/":
        raise ValueError("A job's directory cannot be the root of the file system.")
    pids = descendants(os.getpid()) if descendants_only else _all_pids()
    living = {process.pid: process for process in map(read_process, pids) if process}
    excluded = _ancestors(living)
    if without_descendants:
        excluded |= descendants(os.getpid())
    variable = JOB_VARIABLE + job_id.encode()
    found = {
        process.pid
        for process in living.values()
        if process.pid not in excluded
        and (process.session in leaders or has_job_variable(process.pid, variable) or _is_below(process, directory))
    }
    grown = True
    while grown:
        children = {p.pid for p in living.values() if p.parent in found and p.pid not in excluded}
        grown = not children <= found
        found |= children
    return [living[pid] for pid in found]


def has_job_variable(pid: int, variable: bytes | None = None, *, strict: bool = False) -> bool:
    """Return whether a process was started with a job's id in its environment: with this `variable`, or with any.

    `strict` is that of read_process.
    """
    environ = _read_file(f"/proc/{pid}/environ", strict=strict)
    if environ is None:
        return False
    entries = environ.split(b"\0")
    return variable in entries if variable else any(entry.startswith(JOB_VARIABLE) for entry in entries)


def _read_file(path: str, *, strict: bool) -> bytes | None:
    """Return a file of a process, None if that has ended or is not ours; raise OSError as read_process does."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        if strict and error.errno in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}:
            raise
        return None


def descendants(of: int) -> set[int]:
    """Return the pids of a process and of all its descendants.

    The kernel's list of children may miss one while another exits (proc(5), task/TID/children), so it is read twice.
    """
    return {*_list_descendants(of), *_list_descendants(of)}


async def end_all(
    job_id: str,
    root: Path,
    grace: float = 0.7,
    leaders: Collection[int] = (),
    *,
    descendants_only: bool = False,
    without_descendants: bool = False,
) -> int:
    """End every process of a job, and return how many there were; both flags are those of `find_job_processes`.

    They get SIGTERM first, and after `grace` seconds SIGKILL until none is left, for at most another second.
    `root` is the directory of the job; `leaders` are the session leaders known to belong to it.
    """
    ended: set[tuple[int, int]] = set()
    signalled: set[tuple[int, int]] = set()
    began = monotonic()
    delay = 0.005
    while found := await asyncio.to_thread(
        find_job_processes,
        job_id,
        root,
        leaders,
        descendants_only=descendants_only and not ended,
        without_descendants=without_descendants,
    ):
        waited = monotonic() - began
        if waited > grace + KILL_TIMEOUT_SECONDS:
            log.warning("job %s: %d processes cannot be ended", job_id, len(found))
            break
        for process in found:
            identity = (process.pid, process.started)
            ended.add(identity)
            if waited >= grace:
                _send_signal(process, signal.SIGKILL)
            elif process.name != SANDBOX_NAME and identity not in signalled:
                signalled.add(identity)
                _send_signal(process, signal.SIGTERM)
        await asyncio.sleep(min(delay, max(grace - waited, 0.005)))
        delay = min(delay * 2, 0.05)
    return len(ended)


def _all_pids() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 (names are all we need)


def _list_descendants(of: int) -> list[int]:
    found = [of]
    for pid in found:
        with suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (names are all we need)
                with suppress(OSError):
                    found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return found


def _ancestors(living: dict[int, Process]) -> set[int]:
    excluded = {1}
    pid = os.getpid()
    while pid not in excluded:
        excluded.add(pid)
        pid = living[pid].parent if pid in living else 1
    return excluded


def _is_below(process: Process, directory: str) -> bool:
    # A person in a checkout has a terminal; we never give one to a command.
    if process.terminal:
        return False
    for link in ("cwd", "root", "exe"):
        with suppress(OSError):
            target = os.readlink(f"/proc/{process.pid}/{link}")  # noqa: PTH115 (that of a deleted one ends in ' (deleted)')
            if target == directory or target.startswith(directory + "/") or target == directory + " (deleted)":
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
