"""Tells whether the process that connected to a Unix socket is a command of a job, or was started by one."""

import errno
import os
import select
import socket
import struct
from typing import NamedTuple, Protocol

from stitcherd.processes.tree import Process, has_job_variable, read_process

SO_PEERPIDFD = 77  # asm-generic/socket.h; since Linux 6.5
LOOKS_MAX = 5  # at the ancestors of a process, while they end during a look
OUTSIDERS_MAX = 256
NOT_IN_OUR_NAMESPACE = 0  # the pid of such a peer; our descendants have pids in our namespace

# Processes that belong to no job, by pid and start: whoever does not descend from us never will. A client that connects
# again and again is looked up once.
_outsiders: dict[tuple[int, int], None] = {}


class PeerSocket(Protocol):
    """A connected socket, or asyncio's view of one."""

    def getsockopt(self, level: int, option: int, buffer_size: int, /) -> bytes: ...  # noqa: D102 (see the class)


class Peer(NamedTuple):
    """The process that connected, as the kernel recorded it then; it may have ended."""

    pid: int
    uid: int


def find_peer(connection: PeerSocket) -> Peer:
    """Return the process that connected to a Unix socket."""
    pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Peer(pid, uid)


def find_job_origin(connection: PeerSocket) -> str | None:
    """Return why the process that connected may belong to a job, as the end of a sentence about it; None if not.

    It belongs to one if it descends from this process, or if it or an ancestor has STITCHER_JOB_ID in its environment.
    One that has ended is not trusted either: it may have been a command that passed its connection on. Raises OSError
    where this cannot be found out now, for lack of descriptors.
    """
    pid = find_peer(connection).pid
    if pid in {NOT_IN_OUR_NAMESPACE, os.getpid()}:
        return None
    try:
        handle = _open_handle(connection, pid)
    except ProcessLookupError:
        return "has ended"
    try:
        origin = _find_origin(pid)
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        return "has ended" if ended.poll(0) else origin  # once it has ended, its pid may be that of another process
    finally:
        os.close(handle)


def _open_handle(connection: PeerSocket, pid: int) -> int:
    """Return a pidfd of the process that connected. Raises ProcessLookupError."""
    try:
        (handle,) = struct.unpack("i", connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            return os.pidfd_open(pid)
        raise
    return int(handle)


def _find_origin(pid: int) -> str | None:
    """Look at a process and its ancestors, again if one of them ended meanwhile: its children have another parent."""
    for _ in range(LOOKS_MAX):
        first = process = read_process(pid, strict=True)
        if first is not None and (pid, first.started) in _outsiders:
            return None
        while process:
            if has_job_variable(process.pid, strict=True):
                return "has STITCHER_JOB_ID in its environment, or was started by a process that has"
            if process.parent == os.getpid():
                return "was started by the daemon, or by a process that was"
            if process.parent == 0 or _is_hidden(process.parent):
                _note_outsider(first)
                return None
            parent = read_process(process.parent, strict=True)
            process = parent if parent and parent.started <= process.started else None
    return "has parents that keep changing"


def _note_outsider(process: Process | None) -> None:
    if process is None:
        return
    if len(_outsiders) >= OUTSIDERS_MAX:
        _outsiders.pop(next(iter(_outsiders)))
    _outsiders[process.pid, process.started] = None


def _is_hidden(pid: int) -> bool:
    """Return whether a process exists, but /proc does not show it to us: one of another user, with `hidepid`."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return not os.path.exists(f"/proc/{pid}")  # noqa: PTH110 (as quick as possible)
    return False
