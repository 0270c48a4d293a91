"""One child at a time: started, fed, listened to, awaited, and reaped by nobody else."""

import asyncio
import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, TypeVar

from stitcherd.processes.exits import Exit, Why
from stitcherd.processes.pipes import Feeder, Listener

HANGOVER = 0.2  # seconds that the pipe is given after the command's own end
UNKILLABLE = 1.0  # seconds after SIGKILL before a command is given up

T = TypeVar("T")
Watch = Callable[[int], Coroutine[Any, Any, str]]  # given the leader's pid; returns when it takes too much, and of what

# Whoever reaps must know which children somebody waits for, and a child is somebody's from its first moment.
_forking = threading.Lock()
_awaited: set[int] = set()


class CannotStart(Exception):
    """A command could not be started; the text says why."""


async def follow(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    timeout: float | None,  # noqa: ASYNC109 (as everywhere here)
    sinks: Sequence[Callable[[bytes], None]],
    end: Callable[[int, Why], Awaitable[object]],
    watch: Watch | None = None,
) -> Exit:
    """Run a command to its end, whatever that is; `end` then ends the session of its leader, and all else of it.

    `sinks` are one for both outputs together, or one for each. Raises CannotStart.
    """
    child = _start(argv, cwd, env, feed=bool(stdin), merged=len(sinks) == 1)
    pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe]
    listeners = [Listener(pipe.fileno(), sink) for pipe, sink in zip(pipes, sinks, strict=True)]
    feeder = Feeder(child.stdin, stdin) if child.stdin else None
    gone = _gone(child.pid)
    watching: set[asyncio.Future[str]] = {asyncio.ensure_future(watch(child.pid))} if watch else set()
    why = Why.TOLD_TO
    over = None
    try:
        ends: set[asyncio.Future[Any]] = {gone, *watching}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            why = Why.BY_ITSELF
            await asyncio.wait({listener.ended for listener in listeners}, timeout=HANGOVER)
        else:
            why = Why.OUT_OF_TIME
            for done in (each for each in watching if each.done()):
                why, over = Why.OVER, done.result()
    finally:
        for each in watching:
            each.cancel()
        # The leader stays a zombie until its followers are ended: its session's number cannot be anyone else's.
        try:
            await _to_the_end(_settle(end(child.pid, why), gone, *watching))
        finally:
            for listener in listeners:
                listener.close()
            if feeder:
                feeder.close()
            code = _reap(child, pipes)
    for listener in listeners:
        if listener.fault:
            raise listener.fault
    return Exit(code, why is Why.OUT_OF_TIME, over)


def reap_orphans(others: Collection[int] = ()) -> None:
    """Reap adopted children that have ended, and no child that a call here, or one of `others`, is waiting for."""
    with _forking:
        for listing in Path("/proc/self/task").glob("*/children"):
            with suppress(OSError):
                for pid in map(int, listing.read_text().split()):
                    if pid not in _awaited and pid not in others:
                        with suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)


async def _settle(ending: Awaitable[object], *others: asyncio.Future[Any]) -> None:
    await ending
    await asyncio.wait(others, timeout=UNKILLABLE)


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
