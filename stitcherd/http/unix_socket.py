"""The Unix socket of the local app: a private directory, and a lock against a second daemon."""

import os
import socket
from pathlib import Path
from typing import TextIO

from stitcherd.processes import file_lock
from stitcherd.processes.private_directory import SharedDirectory, make_private


class UnusableSocketPath(Exception):
    """The socket cannot be created, or not safely, at its path; the message says why."""


class LocalSocket:
    """The listening socket at a path, of mode 0600 in a directory of mode 0700, with a lock against a second daemon."""

    def __init__(self, path: Path) -> None:
        """Bind the socket; a stale one is replaced.

        Raises UnusableSocketPath, and LockHeld if another daemon has the lock.
        """
        self.path = path
        self._lock = _lock(path)
        try:
            self.listener = _bind(path)
        except UnusableSocketPath:
            self._lock.close()
            raise
        self._bound = _file_id(path)

    def is_lost(self) -> bool:
        """Say whether the path no longer leads to this socket: whoever connects does not find the daemon."""
        return _file_id(self.path) != self._bound

    def bind_again(self) -> socket.socket:
        """Bind a new socket at the path, and return it; raises as `__init__` does."""
        lock_path = _lock_path(self.path)
        if _file_id(lock_path) != _file_id(self._lock.fileno()):  # it was removed as well
            lock = _lock(self.path)
            self._lock.close()
            self._lock = lock
        self.listener = _bind(self.path)
        self._bound = _file_id(self.path)
        return self.listener

    def close(self) -> None:
        """Remove the socket unless another one is in its place, and release the lock."""
        if not self.is_lost():
            self.path.unlink(missing_ok=True)
        self.listener.close()
        self._lock.close()


def _lock(path: Path) -> TextIO:
    try:
        make_private(path.parent)
        return file_lock.acquire_lock(_lock_path(path), f"socket {path}")
    except SharedDirectory as error:
        raise UnusableSocketPath(f"{error}: use a directory of your own for the socket") from error
    except OSError as error:
        raise _unusable(path, error) from error


def _bind(path: Path) -> socket.socket:
    if path.exists():
        if not path.is_socket():
            raise UnusableSocketPath(f"{path} exists and is not a socket")
        path.unlink()  # stale: a running daemon would hold the lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise _unusable(path, error) from error
    finally:
        os.umask(before)
    return listener


def _unusable(path: Path, error: OSError) -> UnusableSocketPath:
    remedy = "choose another path as daemon.socket in stitcherd.toml"
    return UnusableSocketPath(f"the socket {path} cannot be created: {error.strerror}; {remedy}")


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _file_id(file: Path | int) -> tuple[int, int] | None:
    try:
        status = os.fstat(file) if isinstance(file, int) else file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
