"""Runs commands as child processes, and ends them together with every process that they have started."""

import ctypes
import errno
import os
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from stitcherd.processes.child import (
    CannotStart,
    CannotStartNow,
    EndReason,
    ExitStatus,
    LimitWatch,
    Stdin,
    reap_orphans,
    restrict_umask,
    run_child,
)
from stitcherd.processes.pipes import StdinWriter
from stitcherd.processes.tree import end_all

__all__ = [
    "CannotStart",
    "CannotStartNow",
    "Captured",
    "ExitStatus",
    "LimitWatch",
    "RunCommand",
    "Stdin",
    "StdinWriter",
    "become_subreaper",
    "build_environment",
    "capture",
    "end_all",
    "join_new_session_keyring",
    "reap_orphans",
    "restrict_umask",
    "run",
    "set_not_dumpable",
]

KILL_GRACE_SECONDS = 0.7  # between SIGTERM and SIGKILL
KEYCTL_NUMBERS = {"x86_64": 250, "aarch64": 219}  # the system call, which the C library has no function for
KEYCTL_JOIN_SESSION_KEYRING = 1  # linux/keyctl.h
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h

_is_subreaper = False


class Captured(Struct, frozen=True):
    """The output of a short command of our own, and how it ended."""

    exit: ExitStatus
    stdout: bytes
    stderr: bytes


class RunCommand(Protocol):
    """Runs a command of a job where the job's commands run, in their sandbox and environment."""

    async def __call__(
        self,
        argv: Sequence[str],
        /,
        *,
        timeout: float | None,  # noqa: ASYNC109 (as in run)
        write: Callable[[bytes], None],
        stdin: Stdin = b"",
        write_error: Callable[[bytes], None] | None = None,
    ) -> ExitStatus:
        """Run `argv` for at most `timeout` seconds; its output goes to `write`. Raises CannotStart.

        What it writes to stderr goes to `write_error`, where there is one.
        """
        ...


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: Stdin = b"",
    timeout: float | None,  # noqa: ASYNC109 (a timeout is a result here, not an error)
    write: Callable[[bytes], None],
    write_error: Callable[[bytes], None] | None = None,
    job_id: str,
    root: Path,
    watch: LimitWatch | None = None,
    pass_fds: Sequence[int] = (),
) -> ExitStatus:
    """Run a command of a job in a session of its own; when this returns or raises, none of its processes is running.

    stdout and stderr go to `write` in the order written, in chunks of at most 64 KiB, and stderr to `write_error` where
    there is one; `timeout` is in seconds;
    `root` is the directory of the job (see `end_all`). A job runs one command at a time: all other processes of the job
    are ended at the end, too. When `watch` returns, the command is killed. It inherits the file descriptors `pass_fds`
    under the same numbers. Raises CannotStart.
    """

    def end(leader: int, reason: EndReason) -> Awaitable[int]:
        # A command that exited rarely leaves processes, and if we are the subreaper they are our descendants.
        descendants_only = reason is EndReason.EXITED and _is_subreaper
        grace = 0.0 if reason is EndReason.LIMIT_EXCEEDED else KILL_GRACE_SECONDS
        return end_all(job_id, root, grace, leaders=(leader,), descendants_only=descendants_only)

    sinks = (write,) if write_error is None else (write, write_error)
    return await run_child(argv, cwd, env, stdin, timeout, sinks, end, watch, pass_fds)


async def capture(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float,  # noqa: ASYNC109 (as in run)
    pass_fds: Sequence[int] = (),
) -> Captured:
    """Run a short command of our own, and return its output; its session is killed after `timeout` seconds.

    It inherits the file descriptors `pass_fds`. Raises CannotStart.
    """
    stdout, stderr = bytearray(), bytearray()
    sinks = (stdout.extend, stderr.extend)
    ended = await run_child(argv, cwd, env, stdin, timeout, sinks, _kill_session, pass_fds=pass_fds)
    return Captured(ended, bytes(stdout), bytes(stderr))


def build_environment(
    inherited: Mapping[str, str], *, job_id: str, attempt: int, number: int, tmp: Path, extra: Collection[str] = ()
) -> dict[str, str]:
    """Return the complete environment of an agent or a gate: an allow list of names, and nothing else.

    `number` is the try; `extra` are further names to copy from `inherited`.
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
    """Make orphans of our commands our children instead of init's; then call `reap_orphans` on SIGCHLD."""
    global _is_subreaper  # noqa: PLW0603 (prctl sets it for the process as well)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _is_subreaper = True


def set_not_dumpable() -> None:
    """Protect our memory and /proc entries from other processes of the same user; programs do not inherit this."""
    _prctl(PR_SET_DUMPABLE, 0)


def join_new_session_keyring() -> None:
    """Leave the keyring of the user's session for an empty one, so that no command of ours can read the user's keys.

    Only the calling thread, and the threads and processes that it starts later, leave it. Raises OSError.
    """
    number = KEYCTL_NUMBERS.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, f"the system call has no known number on {os.uname().machine}")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


async def _kill_session(leader: int, _reason: EndReason) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
