"""Publishes commits: finds what stands in a branch's way, pushes one commit to it, and asks where a branch is."""

from collections.abc import Collection
from contextlib import suppress

from stitcherd.git import Git, GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.mirror import Mirror, check_branch_name


class BranchBlocked(GitError):
    """A branch cannot be created, since another one has a name that excludes it."""


class BranchMoved(GitError):
    """A branch is at a commit that its job did not publish, and is not replaced."""

    def __init__(self, branch: str, clone: str, sha: str) -> None:
        super().__init__(
            f"Branch {branch!r} of {clone} is at {sha}, which this job did not publish, and is not replaced:"
            " rename or delete that branch, then retry the job."
        )


async def check_branch_free(mirror: Mirror, branch: str, earlier: Collection[str]) -> None:
    """Check, as of the last fetch, that a branch can be created, or is at one of the commits `earlier`.

    Raises BranchBlocked, BranchMoved, GitError.
    """
    for name, sha in (await mirror.branches_around(branch)).items():
        if name != branch:
            raise BranchBlocked(
                f"Branch {name!r} of {mirror.clone} excludes a branch {branch!r}, which the job would publish:"
                f" rename or delete {name!r}, then retry the job."
            )
        if sha not in earlier:
            raise BranchMoved(branch, mirror.clone, sha)


async def publish(checkout: Checkout, sha: str, clone: str, branch: str, earlier: Collection[str] = ()) -> None:
    """Set a branch of the repository at the path `clone` to a commit, and push nothing else.

    A branch that exists already is replaced only if it is at one of the commits `earlier`. The hooks of that
    repository run, as for every push. Raises BranchMoved and GitError.
    """
    await check_branch_name(checkout.git, branch)
    ref = f"refs/heads/{branch}"
    found = await _find_head(checkout.git, clone, ref) if earlier else ""
    expected = found if found in earlier else ""
    words = ("push", "-q", "--no-verify", "--no-signed", f"--force-with-lease={ref}:{expected}")
    try:
        await checkout.run_git(*words, "--", clone, f"{sha}:{ref}", protocols="file")
    except GitError:
        with suppress(GitError):
            found = await _find_head(checkout.git, clone, ref)
        if found == sha:  # git was ended, by a time limit for one, after the branch had been updated
            return
        if found != expected:
            raise BranchMoved(branch, clone, found) from None
        raise


async def _find_head(git: Git, clone: str, ref: str) -> str:
    """Return the sha of a branch in the repository at the path `clone`, empty if there is no such branch."""
    listed = await git("ls-remote", "--", clone, ref, protocols="file")
    found = {name: sha for sha, _, name in (line.partition("\t") for line in listed.decode().splitlines())}
    return found.get(ref, "")
