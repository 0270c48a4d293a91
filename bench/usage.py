"""What a process uses, and the processes that it started, from /proc."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu(pids: Iterable[int]) -> float:
    """Return the CPU time that processes have used so far, in seconds; those that have ended count as nothing."""
    return sum(_seconds(_fields(pid), 11) for pid in pids)


def children_cpu(pid: int) -> float:
    """Return the CPU time of the child processes that have ended, in seconds."""
    return _seconds(_fields(pid), 13)


def pss(pids: Iterable[int]) -> float:
    """Return the proportional set size of processes in MB."""
    return sum(_value(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024


def written(pid: int) -> int:
    """Return how many bytes a process and its child processes that have ended wrote to files on a disk."""
    return _value(pid, "io", "write_bytes:")


def descendants(root: int) -> list[int]:
    """Return a process and those that it started, directly or not."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and (fields := _fields(int(each.name))):
            children.setdefault(int(fields[1]), []).append(int(each.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def _fields(pid: int) -> list[str]:
    """Return the fields of a process after its name; none if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return []


def _seconds(fields: list[str], first: int) -> float:
    return (int(fields[first]) + int(fields[first + 1])) / _TICK if fields else 0.0


def _value(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
