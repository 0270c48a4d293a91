"""Looks at the processes that a daemon has started, and ends them."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[Path]:
    """Return the directories below /proc of a process and of all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(entry.name))
    found, pending = list[int](), [pid]
    while pending:
        found.append(pending.pop())
        pending += children.get(found[-1], ())
    return [Path(f"/proc/{each}") for each in found]


def processes_in(directory: Path) -> list[int]:
    """Return the other processes with a directory in their environment, command line or working directory."""
    place = os.fsencode(directory)
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            known = b"\0".join((entry / name).read_bytes() for name in ("environ", "cmdline"))
            known += os.fsencode((entry / "cwd").readlink())
        except OSError:
            continue
        if place in known and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def end_processes(directory: Path) -> None:
    """Kill the processes that `processes_in` returns."""
    for pid in processes_in(directory):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


class ProcessWatch:
    """Collects what was on the command lines and in the environments of processes whenever `look` was called."""

    def __init__(self) -> None:
        self.seen: dict[str, set[bytes]] = {"cmdline": set(), "environ": set()}

    def look(self, pid: int) -> None:
        """Look at a process and at all that descend from it."""
        for entry in descendants(pid):
            for name, seen in self.seen.items():
                with suppress(OSError):
                    seen.add((entry / name).read_bytes())

    def has_run(self, *words: str) -> bool:
        """Return whether a command line had all the words."""
        wanted = {os.fsencode(word) for word in words}
        return any(wanted <= set(line.split(b"\0")) for line in self.seen["cmdline"])

    def finds(self, text: str) -> list[bytes]:
        """Return what had a text."""
        return [each for seen in self.seen.values() for each in seen if text.encode() in each]
