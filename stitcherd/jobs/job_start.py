"""Finds the commit that a job starts from: that of a branch, or the head of a change, which is pinned.

Before its commit is pushed, the head is looked up again: what was withdrawn from a change is not published.
"""

import asyncio
from collections.abc import Awaitable, Callable

from shared.ids import BRANCH_PREFIX
from shared.models import RunnerJob, Start, Thread
from stitcherd.config.settings import RepositorySettings
from stitcherd.git import GitError
from stitcherd.git.mirror import FULL_SHA, Mirror, is_on_demand

HEAD_WAIT_SECONDS = 30.0  # a webhook may arrive before the forge itself shows the head that it names
HEAD_POLL_SECONDS = 3.0
HEAD_MOVED_HINT = (
    "retry the job once the repository has that commit, or ask for a new one, which starts from the new head"
)

FindHead = Callable[[str, int], Awaitable[str | None]]  # of a change by its number, at the forge of a clone
Sleep = Callable[[float], Awaitable[None]]


class HeadMoved(GitError):
    """The commit that a job is pinned to is no longer part of its change."""


def starts_from_head(start: Start | None) -> bool:
    """Say whether a start is the head of a change, or another ref that is neither a branch nor a tag."""
    return start is not None and is_on_demand(start.ref)


async def ask_no_forge(_clone: str, _number: int) -> None:
    """Return no head: only the repository is asked."""


async def find_start(
    job: RunnerJob, repository: RepositorySettings, mirror: Mirror, sleep: Sleep = asyncio.sleep
) -> Start:
    """Return the commit that a job starts from, as of the last fetch of the branches.

    The head of a change is pinned: to the one that the delivery named, or to that of the first attempt. Where the
    repository does not have the ref of a change's head, the job starts from the branch that the change is for.
    `sleep` is awaited while a forge may not show the named head yet. Raises HeadMoved and GitError.
    """
    ref = job.ref or repository.base
    if is_on_demand(ref):
        head = await mirror.fetch_ref(ref)
        if head is not None:
            return await _start_from_head(job, repository, mirror, ref, head, sleep)
        if not _is_change(job.thread):
            raise GitError(f"There is no ref {ref!r} in {mirror.clone}.")
        ref = job.target or repository.base
    sha = await mirror.resolve(ref)
    accepted = await _is_accepted(mirror, ref, sha)
    return Start(ref, sha, sha if accepted else await _gate_base(job, repository, mirror, sha))


def describe_start(job: RunnerJob, start: Start, clone: str) -> str:
    """Return what the log of a checkout says about its start, in lines."""
    lines = f"base {start.sha} of {start.ref}\n"
    if start.gate_base != start.sha:
        lines += f"files that decide gates: those of {start.gate_base}\n"
    if not _is_change(job.thread) or job.thread is None or starts_from_head(start):
        return lines
    reason = f"{clone} has no ref {job.ref}" if is_on_demand(job.ref or "") else "its source has no ref of them"
    return f"{lines}the commits of change #{job.thread.number} are not in this checkout: {reason}\n"


async def check_head(
    job: RunnerJob, start: Start | None, mirror: Mirror, find_head: FindHead, sleep: Sleep = asyncio.sleep
) -> None:
    """Check that the change that a job started from still contains the commit that it started from.

    The forge is asked for the head of the change, and the repository for its commits; a head that is gone, as after a
    merge, or that got more commits, has not moved. Raises HeadMoved, RemoteUnreachable and GitError.
    """
    if start is None or not starts_from_head(start):
        return
    change = job.thread if _is_change(job.thread) else None
    told = await find_head(mirror.clone, change.number) if change is not None else None
    if told == start.sha:
        return
    head = await mirror.fetch_ref(start.ref)
    if head is not None and told is not None:
        head = await _await_commit(told, head, mirror, start.ref, sleep)
    newest = told or head
    if head is not None and newest is not None and not await _has_arrived(start.sha, newest, mirror):
        raise HeadMoved(
            f"{start.ref} of {mirror.clone} is at {newest}, and does not contain {start.sha}, which the job started"
            " from: a forced push removed it, and it is not published again."
        )


async def _await_commit(sha: str, head: str, mirror: Mirror, ref: str, sleep: Sleep) -> str:
    """Fetch a ref, which is at `head`, until it contains a commit, for at most HEAD_WAIT_SECONDS; return its head."""
    waited = 0.0
    while waited < HEAD_WAIT_SECONDS and not await mirror.history.has_arrived(sha, head):
        await sleep(HEAD_POLL_SECONDS)
        waited += HEAD_POLL_SECONDS
        head = await mirror.fetch_ref(ref) or head
    return head


async def _has_arrived(sha: str, newest: str, mirror: Mirror) -> bool:
    """Say whether a head that a forge named is in the repository by now, and contains a commit."""
    history = mirror.history
    return await history.find_commit(newest) is not None and await history.is_ancestor(sha, newest)


async def _start_from_head(
    job: RunnerJob, repository: RepositorySettings, mirror: Mirror, ref: str, head: str, sleep: Sleep
) -> Start:
    pinned = job.start.sha if job.start and job.start.ref == ref else job.head_sha
    if pinned is not None and not repository.is_path:
        head = await _await_commit(pinned, head, mirror, ref, sleep)
    if pinned is not None and not await mirror.history.is_ancestor(pinned, head):
        raise HeadMoved(
            f"{ref} of {mirror.clone} is at {head}, and does not contain {pinned}, for which the job was requested:"
            " a forced push removed it, or it has not arrived yet."
        )
    sha = pinned or head
    return Start(ref, sha, await _gate_base(job, repository, mirror, sha))


async def _gate_base(job: RunnerJob, repository: RepositorySettings, mirror: Mirror, sha: str) -> str:
    """Return the commit that gates take files from where a job starts from a commit that nobody accepted yet.

    That is where the commit left the branch that it is for, or, if their histories share nothing, that branch itself.
    Raises GitError.
    """
    target = job.target if job.target and not _is_job_branch(job.target) else repository.base
    tip = await mirror.resolve(target)
    return await mirror.history.merge_base(tip, sha) or tip


async def _is_accepted(mirror: Mirror, ref: str, sha: str) -> bool:
    """Say whether people put a commit where it is: not for that of a job, nor for one of a change fetched earlier."""
    names = await mirror.history.refs_with(sha) if FULL_SHA.fullmatch(ref) else [ref]
    return not all(map(_is_job_branch, names))


def _is_job_branch(ref: str) -> bool:
    return ref.removeprefix("refs/heads/").startswith(BRANCH_PREFIX)


def _is_change(thread: Thread | None) -> bool:
    return thread is not None and thread.kind == "change"
