"""Damage to the files of a daemon that was killed: it must not begin anew in silence, and its own words must help."""

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.harness import DaemonHarness, wait_until
from tests.faults.under_load import Options, Row, under_load

LIFE_SECONDS = 0.5
PAGE = 4096
DATABASE = ("stitcher.db", "stitcher.db-wal")
REMEDIES = ("restore a backup (stitcherd restore FILE)", "restore a newer backup (stitcherd restore FILE)")

Damage = Callable[[Path, random.Random], None]


def _overwrite(path: Path, at: int, chance: random.Random, size: int = 64) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(chance.randbytes(size))


def _page(state: Path, chance: random.Random) -> None:
    path = state / "stitcher.db"
    _overwrite(path, chance.randrange(1, path.stat().st_size // PAGE) * PAGE, chance)


def _middle_of_log(state: Path, chance: random.Random) -> None:
    path = state / "stitcher.db-wal"
    _overwrite(path, chance.randrange(path.stat().st_size), chance)


DAMAGES: dict[str, Damage] = {
    "empty database": lambda state, _: os.truncate(state / "stitcher.db", 0),
    "missing database": lambda state, _: (state / "stitcher.db").unlink(),
    "half a database": lambda state, _: os.truncate(state / "stitcher.db", 20 * PAGE),
    "header of the database": lambda state, chance: _overwrite(state / "stitcher.db", 0, chance),
    "page of the database": _page,
    "header of the log": lambda state, chance: _overwrite(state / "stitcher.db-wal", 0, chance),
    "middle of the log": _middle_of_log,
    "missing log": lambda state, _: (state / "stitcher.db-wal").unlink(),
    "shared memory": lambda state, chance: _overwrite(state / "stitcher.db-shm", 0, chance, PAGE),
    "file of the queue": lambda state, chance: _overwrite(state / "queue.db", 0, chance, PAGE),
    "high-water mark": lambda state, chance: _overwrite(state / "stitcher.db-mark", 0, chance, 20),
}


def damages(options: Options) -> list[Row]:
    """Damage each file once or more; where the daemon refuses to start, put the backup in place that it asks for."""
    kinds = iter(list(DAMAGES.values()) * options.times(2))

    def inject(daemon: DaemonHarness, chance: random.Random) -> int:
        return damage(daemon, chance, next(kinds))

    return [under_load("damaged files", inject, len(DAMAGES) * options.times(2), options)]


def damage(daemon: DaemonHarness, chance: random.Random, kind: Damage) -> int:
    daemon.await_ready()
    time.sleep(chance.uniform(0.1, LIFE_SECONDS))
    daemon.kill()
    backup = daemon.root / "backup"
    backup.mkdir(exist_ok=True)
    for name in DATABASE:
        shutil.copy(daemon.state / name, backup / name)
    kind(daemon.state, chance)
    process = daemon.spawn()
    wait_until(lambda: process.poll() is not None or _listens(daemon), "the daemon starts, or says why not")
    if process.poll() is None:  # the comparison shows that nothing is missing
        return 1
    line = daemon.log_tail(1)
    assert process.poll() == 1, line
    assert any(remedy in line for remedy in REMEDIES), line
    assert list(daemon.state.glob("*.corrupt-*")), line
    for name in DATABASE:
        shutil.copy(backup / name, daemon.state / name)
    daemon.spawn()
    return 1


def _listens(daemon: DaemonHarness) -> bool:
    try:
        return daemon.public("GET", "/healthz").status == 200
    except OSError:
        return False
