"""Commands as child processes: started, fed, listened to, and ended together with all they left behind."""

import asyncio
import ctypes
import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TypeVar

from msgspec import Struct

from stitcherd.processes.pipes import Feeder, Listener
from stitcherd.processes.tree import end_all

__all__ = [
    "CannotStart",
    "Captured",
    "Exit",
    "become_subreaper",
    "capture",
    "end_all",
    "environment",
    "not_dumpable",
    "reap_orphans",
    "run",
]

HANGOVER = 0.2  # seconds that the pipe is given after the command's own end
UNKILLABLE = 1.0  # seconds after SIGKILL before a command is given up
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h

T = TypeVar("T")

# Whoever reaps must know which children somebody waits for, and a child is somebody's from its first moment.
_forking = threading.Lock()
_awaited: set[int] = set()
_reaper = False


class CannotStart(Exception):
    """A command could not be started; the text says why."""


class Exit(Struct, frozen=True):
    """How a command ended: `code` is negative for a signal, None for what even SIGKILL did not end."""

    code: int | None
    timed_out: bool = False

    def __str__(self) -> str:
        if self.code is None:
            return "could not be ended"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"was ended by signal {-self.code}"


class Captured(Struct, frozen=True):
    """What a short command of our own wrote, and its exit."""

    exit: Exit
    stdout: bytes
    stderr: bytes


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float | None,  # noqa: ASYNC109 (running out of time is a result here, not an error)
    say: Callable[[bytes], None],
    job_id: str,
    root: Path,
) -> Exit:
    """Run a job's command in its own session; when this returns or raises, nothing of it is alive.

    stdout and stderr go to `say` in the order written, in pieces of at most 64 KiB; `timeout` is in seconds;
    `root` is the job's own directory (see `end_all`). One command of a job runs at a time: what else of the
    job is found at the end is ended too. Raises CannotStart.
    """

    def end(leader: int, *, by_itself: bool) -> Awaitable[int]:
        # After a command's own end there is rarely anybody left, and orphans are ours where we are their reaper.
        return end_all(job_id, root, leaders=(leader,), among_ours=by_itself and _reaper)

    return await _follow(argv, cwd, env, stdin, timeout, (say,), end)


async def capture(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float,  # noqa: ASYNC109 (as in run)
) -> Captured:
    """Run a short command of our own and return what it wrote; its session is killed after `timeout` seconds.

    Raises CannotStart.
    """
    stdout, stderr = bytearray(), bytearray()
    ended = await _follow(argv, cwd, env, stdin, timeout, (stdout.extend, stderr.extend), _kill_session)
    return Captured(ended, bytes(stdout), bytes(stderr))


def environment(
    inherited: Mapping[str, str], *, job_id: str, attempt: int, number: int, tmp: Path, extra: Collection[str] = ()
) -> dict[str, str]:
    """Return the whole environment of an agent or a gate: names by list, everything else is left out.

    `number` is the try; `extra` are names copied from `inherited` where they are set there.
    """
    names = ("PATH", "HOME", "USER", "LANG", *extra)
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        **{name: inherited[name] for name in names if name in inherited},
        "TMPDIR": str(tmp),
        "TERM": "dumb",
        "STITCHER_JOB_ID": job_id,
        "STITCHER_ATTEMPT": str(attempt),
        "STITCHER_TRY": str(number),
    }


def become_subreaper() -> None:
    """Let orphans of our commands become our children instead of init's; then `reap_orphans` on SIGCHLD."""
    global _reaper  # noqa: PLW0603 (a fact about the process, which prctl keeps for the process)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _reaper = True


def not_dumpable() -> None:
    """Close our memory and /proc entries to other processes of the same user; not inherited by programs."""
    _prctl(PR_SET_DUMPABLE, 0)


def reap_orphans(others: Collection[int] = ()) -> None:
    """Reap adopted children that have ended, and no child that a call here, or one of `others`, is waiting for."""
    with _forking:
        for listing in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):
                for pid in map(int, listing.read_text().split()):
                    if pid not in _awaited and pid not in others:
                        with suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)


async def _follow(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    timeout: float | None,  # noqa: ASYNC109 (as in run)
    sinks: Sequence[Callable[[bytes], None]],
    end: Callable[..., Awaitable[object]],
) -> Exit:
    child = _start(argv, cwd, env, feed=bool(stdin), merged=len(sinks) == 1)
    pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe]
    listeners = [Listener(pipe.fileno(), sink) for pipe, sink in zip(pipes, sinks, strict=True)]
    feeder = Feeder(child.stdin, stdin) if child.stdin else None
    gone = _gone(child.pid)
    timed_out = False
    try:
        await asyncio.wait({gone}, timeout=timeout)
        timed_out = not gone.done()
        if not timed_out:
            await asyncio.wait({listener.ended for listener in listeners}, timeout=HANGOVER)
    finally:
        # The leader stays a zombie until its followers are ended: its session's number cannot be anyone else's.
        try:
            await _to_the_end(_settle(end(child.pid, by_itself=gone.done()), gone))
        finally:
            for listener in listeners:
                listener.close()
            if feeder:
                feeder.close()
            code = _reap(child, pipes)
    for listener in listeners:
        if listener.fault:
            raise listener.fault
    return Exit(code, timed_out)


async def _kill_session(leader: int, *, by_itself: bool) -> None:  # noqa: ARG001 (as every ending)
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


async def _settle(ending: Awaitable[object], gone: asyncio.Future[None]) -> None:
    await ending
    await asyncio.wait({gone}, timeout=UNKILLABLE)


def _start(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, feed: bool, merged: bool
) -> subprocess.Popen[bytes]:
    try:
        with _forking:
            child = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
            )
            _awaited.add(child.pid)
    except (OSError, ValueError, IndexError) as fault:
        raise CannotStart(_why(argv, cwd, env, fault)) from fault
    return child


def _why(argv: Sequence[str], cwd: Path, env: Mapping[str, str], fault: Exception) -> str:
    if not argv:
        return "There is no command to start."
    match fault:
        case OSError() if not cwd.is_dir():
            because = f"its directory {cwd} is gone"
        case FileNotFoundError() if Path(cwd, argv[0]).exists():
            because = "the interpreter that its first line names is missing"
        case FileNotFoundError():
            because = "there is no such program"
        case PermissionError() if "/" not in argv[0] and not shutil.which(argv[0], os.F_OK, env.get("PATH")):
            because = "there is no such program"  # and a directory on PATH is closed to us
        case PermissionError():
            because = "it is not executable"
        case OSError(errno=errno.E2BIG):
            because = f"its arguments are too long, {sum(map(len, argv))} characters in all"
        case OSError():
            because = str(fault.strerror)
        case _:
            because = str(fault)
    return f"{argv[0]} cannot be started: {because}."


def _gone(pid: int) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    gone = loop.create_future()
    handle = os.pidfd_open(pid)

    def on_exit() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        if not gone.done():
            gone.set_result(None)

    loop.add_reader(handle, on_exit)
    return gone


def _reap(child: subprocess.Popen[bytes], pipes: Sequence[IO[bytes]]) -> int | None:
    with _forking:
        code = child.poll()
        if code is not None:
            _awaited.discard(child.pid)
    for pipe in pipes:
        pipe.close()
    return code


async def _to_the_end(work: Awaitable[T]) -> T:
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as caught:
            cancelled = caught
    if cancelled:
        raise cancelled
    return task.result()


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
