"""Runs one child process: starts it, writes its stdin, reads its output, waits for its end, and reaps it."""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import closing, suppress
from enum import Enum, auto
from pathlib import Path
from typing import IO, Any, TypeAlias, TypeVar

from msgspec import Struct

from stitcherd import crash_points
from stitcherd.processes.pipes import OutputReader, StdinWriter

PIPE_DRAIN_SECONDS = 0.2  # for output that arrives after the end of the command
NO_RESOURCES = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}
REAP_TIMEOUT_SECONDS = 1.0  # after SIGKILL, before a command is given up

T = TypeVar("T")
# Takes the pid of the leader; returns, if ever, when the command exceeds a limit, with a text that says which.
LimitWatch: TypeAlias = Callable[[int], Coroutine[Any, Any, str]]
# All that a command reads, or a function that is given the open pipe as soon as the command runs.
Stdin: TypeAlias = bytes | Callable[[StdinWriter], None]

# `reap_orphans` must not reap a child that a call here waits for, not even between its fork and its registration.
_forking = threading.Lock()
_umask = -1  # of children; -1 is that of this process
_awaited: set[int] = set()


class CannotStart(Exception):
    """A command could not be started; the text says why."""


class CannotStartNow(CannotStart):
    """This machine has no descriptors, memory or processes left for a command; it may have some again soon."""


class ExitStatus(Struct, frozen=True):
    """How a command ended: `code` is negative for a signal, None if even SIGKILL did not end it.

    `exceeded` says which limit the command exceeded, if it was ended for that.
    """

    code: int | None
    timed_out: bool = False
    exceeded: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the command exited by itself, with code 0."""
        return self.code == 0 and not self.timed_out and self.exceeded is None

    def __str__(self) -> str:
        if self.exceeded is not None:
            return f"was ended: {self.exceeded}"
        if self.code is None:
            return "could not be ended"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"was ended by signal {-self.code}"


class EndReason(Enum):
    """Why a command ends."""

    EXITED = auto()  # by itself
    TIMED_OUT = auto()
    LIMIT_EXCEEDED = auto()
    CANCELLED = auto()


async def run_child(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    stdin: Stdin,
    timeout: float | None,  # noqa: ASYNC109 (a timeout is a result here, not an error)
    sinks: Sequence[Callable[[bytes], None]],
    end: Callable[[int, EndReason], Awaitable[object]],
    watch: LimitWatch | None = None,
    pass_fds: Sequence[int] = (),
) -> ExitStatus:
    """Run a command until it ends for whatever reason; `end` then ends the session of its leader, and all else of it.

    `sinks` is one for both outputs together, or one for stdout and one for stderr. The command inherits the file
    descriptors `pass_fds`. Raises CannotStart.
    """
    child, exited = _start(argv, cwd, env, feed=bool(stdin), merged=len(sinks) == 1, pass_fds=pass_fds)
    pipes = [pipe for pipe in (child.stdout, child.stderr) if pipe]
    readers = [OutputReader(pipe.fileno(), sink) for pipe, sink in zip(pipes, sinks, strict=True)]
    writer = _open_stdin(child.stdin, stdin) if child.stdin else None
    watching: set[asyncio.Future[str]] = {asyncio.ensure_future(watch(child.pid))} if watch else set()
    reason = EndReason.CANCELLED
    exceeded = None
    try:
        ends: set[asyncio.Future[Any]] = {exited, *watching}
        await asyncio.wait(ends, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if exited.done():
            reason = EndReason.EXITED
            await asyncio.wait({reader.ended for reader in readers}, timeout=PIPE_DRAIN_SECONDS)
        else:
            reason = EndReason.TIMED_OUT
            for done in (each for each in watching if each.done()):
                reason, exceeded = EndReason.LIMIT_EXCEEDED, done.result()
    finally:
        for each in watching:
            each.cancel()
        # The leader stays a zombie until the rest of its session is ended: nobody else can get its session id.
        try:
            await _complete(_end_and_wait(end(child.pid, reason), exited, *watching))
        finally:
            for reader in readers:
                reader.close()
            if writer:
                writer.close()
            code = _reap(child, pipes)
    for reader in readers:
        if reader.error:
            raise reader.error
    return ExitStatus(code, reason is EndReason.TIMED_OUT, exceeded)


def restrict_umask() -> None:
    """Let this process create files that nobody else can read, and its children files as they would without it."""
    global _umask  # noqa: PLW0603 (the umask is of the process as well)
    _umask = os.umask(0o077)


def reap_orphans(others: Collection[int] = ()) -> None:
    """Reap adopted children that have ended, but no child that a call here is waiting for, and none of `others`."""
    # An orphan becomes a child of the first thread, as long as that lives (find_new_reaper in kernel/exit.c).
    listing = f"/proc/self/task/{os.getpid()}/children"
    with _forking, suppress(OSError), open(listing, encoding="ascii") as children:  # noqa: PTH123 (called for each child)
        for pid in map(int, children.read().split()):
            if pid not in _awaited and pid not in others:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


async def _end_and_wait(ending: Awaitable[object], *others: asyncio.Future[Any]) -> None:
    await ending
    await asyncio.wait(others, timeout=REAP_TIMEOUT_SECONDS)


def _start(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], *, feed: bool, merged: bool, pass_fds: Sequence[int]
) -> tuple[subprocess.Popen[bytes], asyncio.Future[None]]:
    """Start a command; return it, and a future of its end."""
    try:
        spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # for the handle of the child: it must not run without
        with closing(os.fdopen(spare)), _forking:
            child = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                bufsize=0,
                start_new_session=True,
                pass_fds=pass_fds,
                umask=_umask,
            )
            _awaited.add(child.pid)
        crash_points.reach("after_spawn")
    except (OSError, ValueError, IndexError) as error:
        kind = CannotStartNow if isinstance(error, OSError) and error.errno in NO_RESOURCES else CannotStart
        raise kind(_start_error(argv, cwd, env, error)) from error
    return child, _exit_future(child.pid)


def _start_error(argv: Sequence[str], cwd: Path, env: Mapping[str, str], error: Exception) -> str:
    if not argv:
        return "There is no command to start."
    match error:
        case OSError() if not cwd.is_dir():
            reason = f"its directory {cwd} is gone"
        case FileNotFoundError() if Path(cwd, argv[0]).exists():
            reason = "the interpreter that its first line names is missing"
        case FileNotFoundError():
            reason = "there is no such program"
        case PermissionError() if "/" not in argv[0] and not shutil.which(argv[0], os.F_OK, env.get("PATH")):
            reason = "there is no such program"  # and a directory on PATH is not readable
        case PermissionError():
            reason = "it is not executable"
        case OSError(errno=errno.E2BIG):
            reason = f"its arguments are too long, {sum(map(len, argv))} characters in all"
        case OSError():
            reason = str(error.strerror)
        case _:
            reason = str(error)
    return f"{argv[0]} cannot be started: {reason}."


def _open_stdin(pipe: IO[bytes], stdin: Stdin) -> StdinWriter:
    if isinstance(stdin, bytes):
        return StdinWriter(pipe, stdin)
    writer = StdinWriter(pipe)
    stdin(writer)
    return writer


def _exit_future(pid: int) -> asyncio.Future[None]:
    loop = asyncio.get_running_loop()
    exited = loop.create_future()
    handle = os.pidfd_open(pid)

    def on_exit() -> None:
        loop.remove_reader(handle)
        os.close(handle)
        if not exited.done():
            exited.set_result(None)

    loop.add_reader(handle, on_exit)
    return exited


def _reap(child: subprocess.Popen[bytes], pipes: Sequence[IO[bytes]]) -> int | None:
    with _forking:
        code = child.poll()
        if code is not None:
            _awaited.discard(child.pid)
    for pipe in pipes:
        pipe.close()
    return code


async def _complete(work: Awaitable[T]) -> T:
    """Wait for work to complete, also when cancelled; the cancellation is raised afterwards."""
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
