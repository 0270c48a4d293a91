"""Locks a state directory or a socket for one process, for as long as it lives."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO


class LockHeld(Exception):
    """Another process holds the lock; the text names it."""


def acquire_lock(path: Path, what: str) -> TextIO:
    """Lock a file and write our pid into it; keep the returned file open for as long as the lock is needed.

    The kernel releases it when the process ends, however it ends. Raises LockHeld, naming `what` and the holder's pid.
    """
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise LockHeld(f"{what} is in use by pid {holder}") from None
    with suppress(OSError):  # a disk that is full: the lock is held without a pid as well
        os.ftruncate(file.fileno(), 0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file
