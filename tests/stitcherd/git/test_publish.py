"""Tests that a commit is published on its branch alone, and never over the work of somebody else."""

from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.publish import BranchBlocked, BranchMoved, PushRefused, check_branch_free, publish
from stitcherd.git.remote import Remote
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, git, write


async def make_commit(checkout: Checkout, text: str) -> str:
    write(checkout.work, {"a.txt": text})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    return sha


def write_hook(repository: Path, name: str, script: str) -> None:
    hook = repository / ".git/hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\n{script}\n")
    hook.chmod(0o755)


@pytest.mark.parametrize("bare", [True, False])
async def test_only_the_commit_is_published(checkout: Checkout, origin: Path, tmp_path: Path, bare: bool) -> None:
    target = tmp_path / "target"
    git(tmp_path, "clone", "-q", *(["--bare"] if bare else []), str(origin), str(target))
    refs = git(target, "for-each-ref")
    earlier: list[str] = []
    for text in ("1\n", "2\n"):
        sha = await make_commit(checkout, text)
        await publish(checkout, sha, Remote(checkout.git, str(target)), BRANCH, earlier)
        assert git(target, "rev-parse", BRANCH) == sha
        earlier.append(sha)
    git(target, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert git(target, "for-each-ref") == refs
    git(target, "fsck", "--strict")


async def test_a_branch_that_somebody_else_moved_is_not_replaced(checkout: Checkout, origin: Path) -> None:
    first = await make_commit(checkout, "1\n")
    await publish(checkout, first, Remote(checkout.git, str(origin)), BRANCH)
    git(origin, "update-ref", f"refs/heads/{BRANCH}", "main")
    second = await make_commit(checkout, "2\n")
    for earlier in ((), (first,)):
        with pytest.raises(BranchMoved, match="rename or delete that branch"):
            await publish(checkout, second, Remote(checkout.git, str(origin)), BRANCH, earlier)
    assert git(origin, "rev-parse", BRANCH) == git(origin, "rev-parse", "main")


async def test_a_branch_that_was_updated_before_git_failed_is_published(checkout: Checkout, origin: Path) -> None:
    # The branch is updated before post-receive runs, which ends the push as a time limit would.
    write_hook(origin, "post-receive", "kill -9 $(ps -o ppid= -p $PPID)")
    sha = await make_commit(checkout, "1\n")
    await publish(checkout, sha, Remote(checkout.git, str(origin)), BRANCH)
    assert git(origin, "rev-parse", BRANCH) == sha


async def test_what_a_hook_says_is_in_the_error_before_the_verdict(checkout: Checkout, origin: Path) -> None:
    write_hook(origin, "pre-receive", "echo; echo 'GL-HOOK-ERR: names must match ^feature/'; seq 9; echo; exit 1")
    sha = await make_commit(checkout, "1\n")
    with pytest.raises(PushRefused) as raised:
        await publish(checkout, sha, Remote(checkout.git, str(origin)), BRANCH)
    sentence = str(raised.value)
    assert sentence.startswith("git push failed: GL-HOOK-ERR: names must match ^feature/ 1 2 3 4 5 6 7 8 9 ")
    assert "(pre-receive hook declined)" in sentence
    assert "remote: 9" in raised.value.output


@pytest.mark.parametrize(("name", "raised"), [("stitcher", BranchBlocked), (f"{BRANCH}/x", BranchBlocked)])
async def test_a_branch_that_excludes_ours_is_found_after_the_fetch(
    checkouts: Checkouts, origin: Path, name: str, raised: type[GitError]
) -> None:
    git(origin, "branch", name)
    await checkouts.mirror(str(origin)).fetch()
    with pytest.raises(raised, match=f"rename or delete '{name}'"):
        await check_branch_free(checkouts.mirror(str(origin)), BRANCH, ())


async def test_our_own_branch_and_those_of_other_jobs_stand_in_no_way(checkouts: Checkouts, origin: Path) -> None:
    main = git(origin, "rev-parse", "main")
    for name in ("stitcher/000000000000", "stitcher-2", "other/stitcher", f"{BRANCH}a", BRANCH):
        git(origin, "branch", name)
    await checkouts.mirror(str(origin)).fetch()
    mirror = checkouts.mirror(str(origin))
    await check_branch_free(mirror, BRANCH, [main])
    with pytest.raises(BranchMoved, match=f"{BRANCH}.* is at {main}"):
        await check_branch_free(mirror, BRANCH, ())


async def test_a_mirror_knows_whether_a_commit_arrived(checkouts: Checkouts, checkout: Checkout, origin: Path) -> None:
    mirror, sha = checkouts.mirror(str(origin)), await make_commit(checkout, "1\n")
    await mirror.fetch()
    assert not await mirror.contains(BRANCH, sha)
    await publish(checkout, sha, Remote(checkout.git, str(origin)), BRANCH)
    git(origin, "checkout", "-q", BRANCH)
    git(origin, "commit", "-q", "--allow-empty", "-m", "a person goes on")
    await mirror.fetch()
    assert await mirror.contains(BRANCH, sha)
    assert not await mirror.contains("main", sha)
