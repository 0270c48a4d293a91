"""One child at a time: started, fed, listened to, awaited, and reaped by nobody else."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from typing import IO, Any, TypeVar

from msgspec import Struct

from stitcherd.processes.pipes import OutputReader, StdinWriter

# merged from stitcherd.processes.exits: How a command came to its end, and why.


class ExitStatus(Struct, frozen=True):
    """How a command ended: `code` is negative for a signal, None for what even SIGKILL did not end.

    `over` says what it took too much of, and was ended for.
    """

    code: int | None
    timed_out: bool = False
    over: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it came to its own end, and said that all is well."""
        return self.code == 0 and not self.timed_out and self.over is None

    def __str__(self) -> str:
        if self.over is not None:
            return f"was ended: {self.over}"
        if self.code is None:
            return "could not be ended"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"was ended by signal {-self.code}"


class EndReason(Enum):
    """Why a command is at its end."""

    BY_ITSELF = auto()
    OUT_OF_TIME = auto()
    OVER = auto()  # it took too much of something
    TOLD_TO = auto()  # it was cancelled


PIPE_DRAIN_SECONDS = 0.2  # seconds that the pipe is given after the command's own end
REAP_TIMEOUT_SECONDS = 1.0  # seconds after SIGKILL before a command is given up

T = TypeVar("T")
LimitWatch = Callable[
    [int], Coroutine[Any, Any, str]
]  # given the leader's pid; returns when it takes too much, and of what

# Whoever reaps must know which children somebody waits for, and a child is somebody's from its first moment.
_forking = threading.Lock()
_awaited: set[int] = set()


class CannotStart(Exception):
    """A command could not be started; the text says why."""


async def run_child(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    timeout: float | None,  # noqa: ASYNC109 (as everywhere here)
    sinks: Sequence[Callable[[bytes], None]],
    end: Callable[[int, EndReason], Awaitable[object]],
    watch: LimitWatch | None = None,
) -> ExitStatus:
    """Run a command to its end, whatever that is; `end` then ends the session of its leader, and all else of it.

    `sinks` are one for both outputs together, or one for each. Raises CannotStart.
    """
    child = _start(argv, cwd, env, feed=bool(stdin), merged=len(sinks) == 1)
    pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe]
    listeners = [OutputReader(pipe.fileno(), sink) for pipe, sink in zip(pipes, sinks, strict=True)]
    feeder = StdinWriter(child.stdin, stdin) if child.stdin else None
    gone = _exit_future(child.pid)
    watching: set[asyncio.Future[str]] = {asyncio.ensure_future(watch(child.pid))} if watch else set()
    why = EndReason.TOLD_TO
    over = None
    try:
        ends: set[asyncio.Future[Any]] = {gone, *watching}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            why = EndReason.BY_ITSELF
            await asyncio.wait({listener.ended for listener in listeners}, timeout=PIPE_DRAIN_SECONDS)
        else:
            why = EndReason.OUT_OF_TIME
            for done in (each for each in watching if each.done()):
                why, over = EndReason.OVER, done.result()
    finally:
        for each in watching:
            each.cancel()
        # The leader stays a zombie until its followers are ended: its session's number cannot be anyone else's.
        try:
            await _complete(_end_and_wait(end(child.pid, why), gone, *watching))
        finally:
            for listener in listeners:
                listener.close()
            if feeder:
                feeder.close()
            code = _reap(child, pipes)
    for listener in listeners:
        if listener.fault:
            raise listener.fault
    return ExitStatus(code, why is EndReason.OUT_OF_TIME, over)


def reap_orphans(others: Collection[int] = ()) -> None:
    """Reap adopted children that have ended, and no child that a call here, or one of `others`, is waiting for."""
    with _forking:
        for listing in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):
                for pid in map(int, listing.read_text().split()):
                    if pid not in _awaited and pid not in others:
                        with suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)


async def _end_and_wait(ending: Awaitable[object], *others: asyncio.Future[Any]) -> None:
    await ending
    await asyncio.wait(others, timeout=REAP_TIMEOUT_SECONDS)


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
        raise CannotStart(_start_error(argv, cwd, env, fault)) from fault
    return child


def _start_error(argv: Sequence[str], cwd: Path, env: Mapping[str, str], fault: Exception) -> str:
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


def _exit_future(pid: int) -> asyncio.Future[None]:
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


async def _complete(work: Awaitable[T]) -> T:
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
