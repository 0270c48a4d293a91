"""Commands as child processes: started, fed, listened to, and ended together with all they left behind."""

import ctypes
import os
import signal
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from stitcherd.processes.child import CannotStart, EndReason, ExitStatus, LimitWatch, reap_orphans, run_child
from stitcherd.processes.tree import end_all

__all__ = [
    "CannotStart",
    "Captured",
    "ExitStatus",
    "LimitWatch",
    "RunCommand",
    "become_subreaper",
    "build_environment",
    "capture",
    "end_all",
    "reap_orphans",
    "run",
    "set_not_dumpable",
]

KILL_GRACE_SECONDS = 0.7  # seconds between SIGTERM and SIGKILL
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36  # linux/prctl.h

_is_subreaper = False


class Captured(Struct, frozen=True):
    """What a short command of our own wrote, and its exit."""

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
        stdin: bytes = b"",
    ) -> ExitStatus:
        """Run `argv` for at most `timeout` seconds; its output goes to `write`. Raises CannotStart."""
        ...


async def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    timeout: float | None,  # noqa: ASYNC109 (running out of time is a result here, not an error)
    write: Callable[[bytes], None],
    job_id: str,
    root: Path,
    watch: LimitWatch | None = None,
) -> ExitStatus:
    """Run a job's command in its own session; when this returns or raises, nothing of it is alive.

    stdout and stderr go to `write` in the order written, in pieces of at most 64 KiB; `timeout` is in seconds;
    `root` is the job's own directory (see `end_all`). One command of a job runs at a time: what else of the
    job is found at the end is ended too. When `watch`, given the pid of the command, returns what it takes too much
    of, the command is killed. Raises CannotStart.
    """

    def end(leader: int, why: EndReason) -> Awaitable[int]:
        # After a command's own end there is rarely anybody left, and orphans are ours where we are their reaper.
        among_ours = why is EndReason.BY_ITSELF and _is_subreaper
        grace = 0.0 if why is EndReason.OVER else KILL_GRACE_SECONDS
        return end_all(job_id, root, grace, leaders=(leader,), among_ours=among_ours)

    return await run_child(argv, cwd, env, stdin, timeout, (write,), end, watch)


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
    ended = await run_child(argv, cwd, env, stdin, timeout, (stdout.extend, stderr.extend), _kill_session)
    return Captured(ended, bytes(stdout), bytes(stderr))


def build_environment(
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
    global _is_subreaper  # noqa: PLW0603 (a fact about the process, which prctl keeps for the process)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    _is_subreaper = True


def set_not_dumpable() -> None:
    """Close our memory and /proc entries to other processes of the same user; not inherited by programs."""
    _prctl(PR_SET_DUMPABLE, 0)


async def _kill_session(leader: int, _why: EndReason) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
