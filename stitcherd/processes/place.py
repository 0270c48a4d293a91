"""Where this process runs: its state directory, the lock that it holds on it, and its machine.

None of it can be told by names: cloned machines and containers have the same host name and the same paths.
"""

import logging
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import IO

from msgspec import Struct

from shared.ids import new_id

ID_FILE = "id"  # in the state directory
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE = Path("/proc/self/ns/pid")
_ID = re.compile(r"[0-9a-f-]{36}\n")

log = logging.getLogger(__name__)


class Place(Struct, frozen=True):
    """Where a process runs.

    `state_id` is in the state directory, and so also in a copy of it. `lock_id` is that of one file until the machine
    is started again: of two processes that have both in common, the one that holds the lock runs alone.
    `machine` is where its processes are seen, and can be ended: a container has one of its own.
    """

    state_id: str
    lock_id: str
    machine: str


def find_place(state_dir: Path, lock: IO[str]) -> Place:
    """Return where this process runs, which holds the lock; what cannot be found out is like at no other place."""
    try:
        boot, namespace = BOOT_ID.read_text("ascii").strip(), PID_NAMESPACE.readlink().name
    except OSError as error:
        log.warning("this machine cannot be told from others: %s; a restart waits until the lease is over", error)
        boot, namespace = new_id(), ""
    file = os.fstat(lock.fileno())
    return Place(_state_id(state_dir / ID_FILE), f"{boot} {file.st_dev}:{file.st_ino}", f"{boot} {namespace}")


def _state_id(path: Path) -> str:
    """Return the id in a file, which is created if it has none."""
    with suppress(FileNotFoundError, UnicodeDecodeError):
        if _ID.fullmatch(found := path.read_text("ascii")):
            return found.strip()
        log.warning("%s has no id: it gets another one", path)
    created = new_id()
    try:
        _create(path, created)
    except OSError as error:  # a disk that is full must not keep a daemon from starting
        log.warning("%s could not be written: %s; after a restart this is another state directory", path, error)
    return created


def _create(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, f"{text}\n".encode())
        os.fsync(file)
    finally:
        os.close(file)
    partial.replace(path)
