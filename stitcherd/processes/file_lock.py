"""Who may use a state directory or a socket: one process, for as long as it lives."""

import fcntl
import os
from pathlib import Path
from typing import TextIO


class LockHeld(Exception):
    """Another process holds the lock; the text says which."""


def acquire_lock(path: Path, what: str) -> TextIO:
    """Lock a file and write our pid into it; keep the returned file open for as long as the lock is needed.

    The kernel lets go of it when we die, however we die. Raises Held, naming `what` and the holder's pid.
    """
    file = path.open("a+", encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(20).strip() or "unknown"
        file.close()
        raise LockHeld(f"{what} is in use by pid {holder}") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
