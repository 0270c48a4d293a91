"""The commit that passed is published, and no other."""

from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import publish
from tests.stitcherd.git.repositories import BRANCH, git, write


@pytest.mark.parametrize("bare", [True, False])
async def test_the_commit_and_no_other_is_published(
    checkout: Checkout, origin: Path, tmp_path: Path, bare: bool
) -> None:
    target = tmp_path / "target"
    git(tmp_path, "clone", "-q", *(["--bare"] if bare else []), str(origin), str(target))
    refs = git(target, "for-each-ref")
    for text in ("1\n", "2\n"):
        write(checkout.work, {"a.txt": text})
        sha = await checkout.commit("x")
        assert sha
        await publish(checkout, sha, str(target), BRANCH)
        assert git(target, "rev-parse", BRANCH) == sha
    git(target, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert git(target, "for-each-ref") == refs
    git(target, "fsck", "--strict")


async def test_publishing_goes_to_paths_only(checkout: Checkout) -> None:
    with pytest.raises(GitError, match="not allowed"):
        await publish(checkout, str(checkout.base), "https://127.0.0.1:9/x.git", BRANCH)
