"""The Unix socket's place: a directory that is closed to others, a socket that is really ours."""

import os
import socket
import stat
from pathlib import Path
from typing import TextIO

from stitcherd.processes import file_lock

SHARED_MODES = stat.S_ISVTX | stat.S_IWOTH


class UnsafeSocketPath(Exception):
    """The socket cannot stand where it is wanted; the text says why."""


def bind_socket(path: Path) -> tuple[socket.socket, TextIO]:
    """Return the bound socket (mode 0600, in a directory of mode 0700) and the lock that keeps others off it.

    A socket that an earlier daemon left behind is replaced. Raises UnsafePlace, lock.Held, OSError.
    """
    directory = path.parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.getuid() or found.st_mode & SHARED_MODES:
        raise UnsafeSocketPath(f"{directory} is shared with others: put the socket into a directory of your own")
    directory.chmod(0o700)
    held = file_lock.acquire_lock(path.with_name(path.name + ".lock"), f"socket {path}")
    if path.exists():
        if not path.is_socket():
            held.close()
            raise UnsafeSocketPath(f"{path} is there and is no socket")
        path.unlink()  # nobody listens on it: its daemon would hold the lock
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        door.bind(str(path))
    finally:
        os.umask(before)
    return door, held
