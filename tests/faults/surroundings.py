"""Faults around the daemon: the clock, descriptors, memory, its output, a second daemon, a reader, and TMPDIR."""

import random
import resource
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from tests.e2e.harness import DaemonHarness
from tests.e2e.http_client import TIMEOUT
from tests.faults.load import RAILS
from tests.faults.storage import limited, mounted
from tests.faults.under_load import NotTestedHere, Options, Row, heals, under_load

FAULT_SECONDS = 1.0
FAKETIME = "*/faketime/libfaketimeMT.so.1"  # below /usr/lib
JUMPS = ("+0", "+1d", "-1h", "-30d")  # none further than repeated deliveries are known
MORE_MEMORY = 2**20  # bytes that a daemon may still allocate
LOG_MAX = 16 * 2**20  # bytes of the write-ahead log once nobody holds it
OUTPUTS = {"closed": 'exec "$@" 2>&-', "read by nobody": 'exec "$@" 2> >(exit)'}


def clocks(options: Options) -> list[Row]:
    """Let the clock of the daemon jump, also backwards; that of its timeouts goes on, as it does in a kernel."""
    library = next(Path("/usr/lib").glob(FAKETIME), None)
    if library is None:
        raise NotTestedHere("libfaketime is not installed")
    with DaemonHarness(rails=RAILS) as daemon:
        jump = daemon.root / "faketime"
        settings = (f"LD_PRELOAD={library}", f"FAKETIME_TIMESTAMP_FILE={jump}", "FAKETIME_CACHE_DURATION=1")
        around = ("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", *settings)
        jump.write_text("+0")
        daemon.start(around=around)

        def inject(running: DaemonHarness, chance: random.Random) -> int:
            running.await_ready()
            jump.write_text(chance.choice(JUMPS))
            time.sleep(chance.uniform(1.0, 1.0 + FAULT_SECONDS))
            if chance.random() < 0.3:
                running.kill()
                running.spawn(around)
            return 1

        return [under_load("clock jumps", inject, options.times(10), options, daemon)]


def descriptors(options: Options) -> list[Row]:
    return [under_load("no descriptors left", _exhaust_descriptors, options.times(10), options)]


def _exhaust_descriptors(daemon: DaemonHarness, chance: random.Random) -> int:
    daemon.await_ready()
    assert daemon.process is not None
    used = len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))
    with heals(daemon), limited(daemon, resource.RLIMIT_NOFILE, used + chance.randrange(3)):
        time.sleep(chance.uniform(0.2, FAULT_SECONDS))
    return 1


def memory(options: Options) -> list[Row]:
    return [under_load("no memory left", _exhaust_memory, options.times(10), options)]


def _exhaust_memory(daemon: DaemonHarness, chance: random.Random) -> int:
    daemon.await_ready()
    assert daemon.process is not None
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + MORE_MEMORY
    with heals(daemon, TIMEOUT), limited(daemon, resource.RLIMIT_AS, size):
        time.sleep(chance.uniform(0.2, FAULT_SECONDS))
    return 1


def outputs(options: Options) -> list[Row]:
    return [under_load("stderr closed, or read by nobody", _close_output, options.times(6), options)]


def _close_output(daemon: DaemonHarness, chance: random.Random) -> int:
    daemon.kill()
    daemon.spawn(("bash", "-c", chance.choice(list(OUTPUTS.values())), "bash"))
    daemon.await_ready()
    time.sleep(chance.uniform(0.2, FAULT_SECONDS))
    return 1


def second_daemons(options: Options) -> list[Row]:
    return [under_load("a second daemon", _start_second, options.times(6), options)]


def _start_second(daemon: DaemonHarness, chance: random.Random) -> int:
    daemon.await_ready()
    first = daemon.process
    assert first is not None
    try:
        assert daemon.spawn().wait(TIMEOUT) == 1
    finally:
        daemon.process = first
    assert f"pid {first.pid}" in daemon.log_tail(1)
    if chance.random() < 0.3:
        daemon.kill()
        daemon.spawn()
    return 1


def readers(options: Options) -> list[Row]:
    return [under_load("a reader that holds its view", _hold_view, options.times(5), options)]


def _hold_view(daemon: DaemonHarness, chance: random.Random) -> int:
    """Read in a transaction that lasts: what is written meanwhile stays in the log, which must shrink again."""
    daemon.await_ready()
    with closing(sqlite3.connect(f"file:{daemon.state}/stitcher.db?mode=ro", uri=True, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM jobs").fetchone()
        time.sleep(chance.uniform(1.0, 3.0))
        db.execute("ROLLBACK")
    time.sleep(FAULT_SECONDS)
    assert (daemon.state / "stitcher.db-wal").stat().st_size < LOG_MAX
    return 1


def temporary_directories(options: Options) -> list[Row]:
    with DaemonHarness(rails=RAILS) as daemon:
        place = daemon.root / "tmp"
        place.mkdir()
        with mounted(place, "size=1m,noexec"):
            daemon.start(around=("env", f"TMPDIR={place}"))
            return [under_load("TMPDIR small and noexec", _wait, 1, options, daemon)]


def _wait(_daemon: DaemonHarness, _chance: random.Random) -> int:
    time.sleep(2 * FAULT_SECONDS)
    return 1
