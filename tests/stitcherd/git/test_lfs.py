"""Tests that files which Git LFS stores elsewhere stay pointers."""

from pathlib import Path

import pytest

from stitcherd.git import UncommittableTree
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree, get_base_tree, record_baseline
from tests.stitcherd.git.repositories import BRANCH, commit, git, write

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{0}\nsize 3\n"
FIRST, SECOND = POINTER.format("a" * 64), POINTER.format("b" * 64)


@pytest.fixture
async def checkout(checkouts: Checkouts, origin: Path) -> Checkout:
    attributes = "[attr]big filter=lfs diff=lfs -text\n*.bin big\n"
    files = {".gitattributes": attributes, "b/.gitattributes": "raw.bin !filter\n", "b/raw.bin": "raw"}
    base = commit(origin, {**files, "a.bin": FIRST, "odd \n name.bin": FIRST, "not-yet.bin": "never converted"})
    await checkouts.mirror(str(origin)).fetch()
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    await record_baseline(checkout, prepared=False)
    return checkout


async def test_pointers_of_the_base_are_counted(checkout: Checkout) -> None:
    assert (await get_base_tree(checkout)).lfs_pointers == 2


@pytest.mark.parametrize(
    "made",
    [
        {"a.bin": "content"},
        {"new.bin": "x" * 3000},
        {"not-yet.bin": "still no pointer"},
        {"b/other.bin": ""},
        {"a.bin": "content", ".gitattributes": "* !filter\n"},
        {"a.bin": "content", "b/.gitattributes": "", ".git/info/attributes": "*.bin !filter\n"},
    ],
)
async def test_a_content_in_place_of_a_pointer_is_refused(checkout: Checkout, made: dict[str, str]) -> None:
    write(checkout.work, {**made, "fine.txt": "x"})
    [name] = [name for name in made if name.endswith(".bin")]
    with pytest.raises(UncommittableTree, match=f"Git LFS.* {name}"):
        await commit_work_tree(checkout, "x")


async def test_pointers_can_be_changed_moved_and_deleted(checkout: Checkout) -> None:
    (checkout.work / "a.bin").unlink()
    (checkout.work / "odd \n name.bin").rename(checkout.work / "moved.bin")
    write(checkout.work, {"new.bin": SECOND, "b/raw.bin": "more", "c.txt": "x"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    assert (await checkout.run_git("cat-file", "-p", f"{sha}:new.bin")).decode() == SECOND


async def test_contents_that_were_prepared_stay_pointers_in_the_commit(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    again = await checkouts.open("other", 1, str(origin), checkout.base, BRANCH)
    write(again.work, {"a.bin": "what git lfs pull fetched"})
    await record_baseline(again, prepared=True)
    write(again.work, {"made.txt": "x"})
    sha = await commit_work_tree(again, "x")
    assert sha
    changed = await again.run_git("diff-tree", "-r", "--name-only", str(again.base), sha)
    assert changed.decode().split() == ["made.txt"]
    write(again.work, {"a.bin": "changed by the agent"})
    with pytest.raises(UncommittableTree, match=r"a\.bin"):
        await commit_work_tree(again, "x")
    assert git(origin, "status", "--porcelain") == ""
