"""The Unix socket of the local app: a private directory, and a lock against a second daemon."""

import os
import socket
import stat
from pathlib import Path
from typing import TextIO

from stitcherd.processes import file_lock

SHARED_MODES = stat.S_ISVTX | stat.S_IWOTH


class UnusableSocketPath(Exception):
    """The socket cannot be created, or not safely, at its path; the message says why."""


def bind_socket(path: Path) -> tuple[socket.socket, TextIO]:
    """Return the bound socket (mode 0600, in a directory of mode 0700) and its open lock file.

    A stale socket is replaced. Raises UnusableSocketPath, LockHeld if another daemon has the lock, and OSError.
    """
    directory = path.parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.stat()
    if status.st_uid != os.getuid() or status.st_mode & SHARED_MODES:
        raise UnusableSocketPath(f"{directory} is shared with others: use a directory of your own for the socket")
    directory.chmod(0o700)
    lock = file_lock.acquire_lock(path.with_name(path.name + ".lock"), f"socket {path}")
    if path.exists():
        if not path.is_socket():
            lock.close()
            raise UnusableSocketPath(f"{path} exists and is not a socket")
        path.unlink()  # stale: a running daemon would hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    return listener, lock
