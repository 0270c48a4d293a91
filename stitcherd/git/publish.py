"""Publishes commits: finds what stands in a branch's way, pushes one commit to it, and asks where a branch is."""

import re
from collections.abc import Collection
from functools import partial

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import changes_workflows
from stitcherd.git.mirror import Mirror, check_branch_name
from stitcherd.git.remote import CredentialRefused, Remote, RemoteUnreachable

REFUSED = re.compile(r"^ ! \[(remote )?rejected\]|returned error: 403$", re.MULTILINE)


class BranchBlocked(GitError):
    """A branch cannot be created, since another one has a name that excludes it."""


class BranchMoved(GitError):
    """A branch is at a commit that its job did not publish, and is not replaced."""

    def __init__(self, branch: str, clone: str, sha: str) -> None:
        super().__init__(
            f"Branch {branch!r} of {clone} is at {sha}, which this job did not publish, and is not replaced:"
            " rename or delete that branch, then retry the job."
        )


class PushRefused(GitError):
    """The repository answered that it does not accept the commit on this branch, or no push of this account."""


async def check_branch_free(mirror: Mirror, branch: str, earlier: Collection[str]) -> None:
    """Check, as of the last fetch, that a branch can be created, or is at one of the commits `earlier`.

    Raises BranchBlocked, BranchMoved, GitError.
    """
    for name, sha in (await mirror.refs()).branches_around(branch).items():
        if name != branch:
            raise BranchBlocked(
                f"Branch {name!r} of {mirror.clone} excludes a branch {branch!r}, which the job would publish:"
                f" rename or delete {name!r}, then retry the job."
            )
        if sha not in earlier:
            raise BranchMoved(branch, mirror.clone, sha)


async def publish(checkout: Checkout, sha: str, remote: Remote, branch: str, earlier: Collection[str] = ()) -> None:
    """Set a branch of a repository to a commit, and push nothing else.

    A branch that exists already is replaced only if it is at one of the commits `earlier`. The hooks of that
    repository run, as for every push. Raises BranchMoved, PushRefused, RemoteUnreachable and GitError.
    """
    await check_branch_name(checkout.git, branch)
    found = await _find_head(remote, branch) if earlier else ""
    expected = found if found in earlier else ""
    ref = f"refs/heads/{branch}"
    words = ("push", "-q", "--no-verify", "--no-signed", f"--force-with-lease={ref}:{expected}")
    try:
        workflows = not remote.is_path and await changes_workflows(checkout, sha)
        await checkout.repairs.run(
            partial(
                remote.run, *words, arguments=(f"{sha}:{ref}",), repository=checkout.repository, workflows=workflows
            )
        )
    except GitError as error:
        reason = _reason(error, remote)
        try:
            found = await remote.find_head(branch)
        except GitError as second:
            if isinstance(reason, PushRefused | RemoteUnreachable):
                raise reason from error
            unknown = f"{error} Whether the commit has arrived nevertheless cannot be asked: {second}"
            raise GitError(unknown, f"{error.output}\n{second.output}") from error
        if found == sha:  # git was ended, by a time limit for one, after the branch had been updated
            return
        if found != expected:
            raise BranchMoved(branch, remote.clone, found) from None
        raise reason from error


def _reason(error: GitError, remote: Remote) -> GitError:
    """Return why git could not push: refused, by an outage, or by something of this machine."""
    if isinstance(error, CredentialRefused) or REFUSED.search(error.output):
        return PushRefused(str(error), error.output)
    if not remote.is_path:
        return RemoteUnreachable(str(error), error.output)
    return GitError(str(error), error.output)


async def _find_head(remote: Remote, branch: str) -> str:
    """Return the sha of a branch, empty if there is none. Raises PushRefused, RemoteUnreachable and GitError."""
    try:
        return await remote.find_head(branch)
    except CredentialRefused as error:
        raise PushRefused(str(error), error.output) from error
    except GitError as error:
        if not remote.is_path:
            raise RemoteUnreachable(str(error), error.output) from error
        raise
