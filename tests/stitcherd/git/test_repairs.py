"""Tests when a mirror is cloned anew for a job: only where it is damaged, whatever git says, and once."""

import asyncio
import shutil
from pathlib import Path

import pytest

from stitcherd.git import GitError, GitFailed, UncommittableTree
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.mirror import Mirror
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, git

DAMAGE_MESSAGES = [
    "fatal: bad object HEAD",
    "error: object file is empty",
    "fatal: loose object 1234 is corrupt",
    "error: unable to read tree",
    "a\nfatal: not a git repository",
]


@pytest.fixture
def mirror(checkouts: Checkouts, origin: Path) -> Mirror:
    return checkouts.mirror(str(origin))


@pytest.mark.parametrize("name", DAMAGE_MESSAGES)
async def test_the_name_of_a_file_is_no_damage(checkout: Checkout, mirror: Mirror, name: str) -> None:
    (checkout.work / name).mkdir()
    git(checkout.work / name, "init", "-q")
    with pytest.raises(UncommittableTree):
        await commit_work_tree(checkout, "x")
    assert (mirror.times_cloned, checkout.repairs.take_notes()) == (1, "")


async def test_a_commit_that_cannot_be_checked_out_is_no_damage(
    checkouts: Checkouts, origin: Path, mirror: Mirror
) -> None:
    blob = git(origin, "rev-parse", "HEAD:a.txt")
    git(origin, "-c", "core.protectNTFS=false", "update-index", "--add", "--cacheinfo", f"100644,{blob},git~1/config")
    git(origin, "-c", "core.protectNTFS=false", "commit", "-q", "-m", "x")
    await mirror.fetch()
    with pytest.raises(GitError, match="invalid path"):
        await checkouts.open("job", 1, str(origin), await mirror.resolve("main"), BRANCH)
    assert mirror.times_cloned == 1


def remove_packs(mirror: Mirror) -> None:
    for pack in (mirror.objects / "pack").iterdir():
        pack.unlink()


async def test_a_mirror_is_cloned_anew_once_for_an_attempt(checkout: Checkout, mirror: Mirror) -> None:
    read_base = ("cat-file", "-p", f"{checkout.base}:a.txt")
    remove_packs(mirror)
    assert await checkout.run_git(*read_base) == b"one\ntwo\n"
    assert "was damaged and has been cloned anew" in checkout.repairs.take_notes()
    remove_packs(mirror)
    with pytest.raises(GitFailed):
        await checkout.run_git(*read_base)
    assert mirror.times_cloned == 2


async def test_a_file_that_cannot_be_read_is_damage(checkout: Checkout, mirror: Mirror, tmp_path: Path) -> None:
    remove_packs(mirror)
    shutil.copytree(tmp_path / "origin" / ".git" / "objects", mirror.objects, dirs_exist_ok=True)
    sha = git(tmp_path / "origin", "rev-parse", "HEAD:tests/t.py")
    path = mirror.objects / sha[:2] / sha[2:]
    path.chmod(0o644)
    path.write_bytes(b"x" * 40)
    assert await checkout.run_git("cat-file", "-p", sha) == b"t\n"
    assert mirror.times_cloned == 2


async def test_two_attempts_that_find_the_same_damage_clone_once(
    checkouts: Checkouts, checkout: Checkout, mirror: Mirror, origin: Path
) -> None:
    other = await checkouts.open("other", 1, str(origin), checkout.base, BRANCH)
    remove_packs(mirror)
    read_base = ("cat-file", "-p", f"{checkout.base}:a.txt")
    assert await asyncio.gather(*(each.run_git(*read_base) for each in (checkout, other))) == [b"one\ntwo\n"] * 2
    assert mirror.times_cloned == 2
