"""Storage that fails for a while: a full disk, a locked database, a read-only directory, errors of single calls."""

import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT
from tests.faults.load import RAILS
from tests.faults.under_load import NotTestedHere, Options, Row, heals, under_load

FAULT_SECONDS = 1.0  # at most, of a full disk and of errors
LOCKS_SECONDS = (1.0, 5.0)  # shorter and longer than a write waits for a lock
SMALL_DISK = "32m"
CALLS = ("pwrite64", "fdatasync", "fsync", "ftruncate", "pread64")
ERRORS = ("EIO", "ENOSPC")
DETACH_SECONDS = 2.0


def limits(options: Options) -> list[Row]:
    return [under_load("full disk (file size limit)", _limit_size, options.times(15), options)]


def _limit_size(daemon: DaemonHarness, chance: random.Random) -> int:
    """Let the files of the daemon grow by little or nothing for a while."""
    daemon.await_ready()
    size = (daemon.state / "stitcher.db-wal").stat().st_size
    with heals(daemon), limited(daemon, resource.RLIMIT_FSIZE, size + chance.choice([0, 0, 100_000])):
        time.sleep(chance.uniform(0.2, FAULT_SECONDS))
    return 1


@contextmanager
def limited(daemon: DaemonHarness, kind: int, soft: int) -> Iterator[None]:
    """Lower a limit of the running daemon."""
    assert daemon.process is not None
    pid = daemon.process.pid
    before = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, before)


def full_disks(options: Options) -> list[Row]:
    with DaemonHarness(rails=RAILS) as daemon:
        daemon.state.mkdir(mode=0o700)
        with mounted(daemon.state, f"size={SMALL_DISK}"):
            return [under_load("full disk (small tmpfs)", _fill_disk, options.times(15), options, daemon)]


def _fill_disk(daemon: DaemonHarness, chance: random.Random) -> int:
    """Let another program take all space for a while; at times the daemon is killed meanwhile."""
    daemon.await_ready()
    filler, killed = daemon.state / "filler", chance.random() < 0.3
    try:
        with filler.open("wb", buffering=0) as file:
            while file.write(bytes(65_536)) == 65_536:
                pass
    except OSError:
        pass
    time.sleep(chance.uniform(0.2, FAULT_SECONDS))
    if killed:
        daemon.kill()
    filler.unlink()
    if killed:
        daemon.spawn()
    with heals(daemon, TIMEOUT):
        pass
    return 1


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Mount a tmpfs. Raises NotTestedHere."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        raise NotTestedHere("no permission to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def locks(options: Options) -> list[Row]:
    return [under_load("database locked by others", _lock, options.times(6), options)]


def _lock(daemon: DaemonHarness, chance: random.Random) -> int:
    daemon.await_ready()
    with heals(daemon), closing(sqlite3.connect(daemon.state / "stitcher.db", isolation_level=None)) as db:
        db.execute("PRAGMA wal_autocheckpoint=0")
        begin_soon(db)
        time.sleep(chance.choice(LOCKS_SECONDS))
        db.execute("ROLLBACK")
    return 1


def begin_soon(db: sqlite3.Connection) -> None:
    """Begin to write as soon as the daemon lets go of the lock."""
    wait_until(lambda: _begins(db), "the lock is free")


def _begins(db: sqlite3.Connection) -> bool:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


def read_only(options: Options) -> list[Row]:
    return [under_load("read-only state directory", _start_read_only, options.times(5), options)]


def _start_read_only(daemon: DaemonHarness, chance: random.Random) -> int:
    """Start where nothing can be written: that must be said in one line; then start where it can."""
    daemon.await_ready()
    time.sleep(chance.uniform(0, FAULT_SECONDS))
    daemon.kill()
    place = str(daemon.state)
    if subprocess.run(["mount", "--bind", place, place], capture_output=True, check=False).returncode:
        daemon.spawn()
        raise NotTestedHere("no permission to mount a directory read-only")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        assert daemon.spawn().wait(TIMEOUT) == 1
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
    line = daemon.log_tail(1)
    assert place in line, line
    assert "daemon.state_dir" in line, line
    daemon.spawn()
    return 1


def detach(tracer: subprocess.Popen[bytes]) -> None:
    """End strace, which at times waits for threads that make no call; they go on nevertheless."""
    tracer.send_signal(signal.SIGINT)
    try:
        tracer.wait(DETACH_SECONDS)
    except subprocess.TimeoutExpired:
        tracer.kill()
        tracer.wait()


def io_errors(options: Options) -> list[Row]:
    if shutil.which("strace") is None:
        raise NotTestedHere("strace is not installed")
    return [under_load("I/O errors of single calls", _inject_errors, options.times(20), options)]


def _inject_errors(daemon: DaemonHarness, chance: random.Random) -> int:
    """Let every k-th call of a kind fail for a while; return how many did."""
    daemon.await_ready()
    assert daemon.process is not None
    call, error = chance.choice(CALLS), chance.choice(ERRORS)
    first, step = chance.randint(1, 10), chance.randint(1, 5)
    log = daemon.root / "strace"
    inject = f"inject={call}:error={error}:when={first}+{step}"
    # Each thread by its id: with -f the agents would be hit too.
    threads = [f"-p{each.name}" for each in Path(f"/proc/{daemon.process.pid}/task").iterdir()]
    argv = ["strace", "-q", "-o", str(log), "-e", f"trace={call}", "-e", inject, *threads]
    log.unlink(missing_ok=True)
    with heals(daemon):
        tracer = subprocess.Popen(argv, stderr=subprocess.PIPE)
        try:
            time.sleep(chance.uniform(0.5, FAULT_SECONDS))
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                raise NotTestedHere(f"strace cannot trace the daemon: {tracer.stderr.read().decode().strip()}")
        finally:
            detach(tracer)
    return len(re.findall(r"\(INJECTED\)", log.read_text()))
