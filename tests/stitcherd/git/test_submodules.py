"""Tests that submodules stay as the base has them, in the tree and in `.gitmodules`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git import UncommittableTree
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


@pytest.fixture
async def checkout(checkouts: Checkouts, origin: Path, tmp_path: Path) -> Checkout:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    commit(inner, {"x": "x"})
    git(origin, "submodule", "--quiet", "add", str(inner), "libs/sub")
    base = commit(origin, {})
    await checkouts.mirror(str(origin)).fetch()
    return await checkouts.open("job", 1, str(origin), base, BRANCH)


def git_rm(checkout: Checkout) -> None:
    git(checkout.work, "rm", "-q", "libs/sub")


def edit(checkout: Checkout) -> None:
    write(checkout.work, {".gitmodules": '[submodule "libs/sub"]\n\tpath = libs/sub\n\turl = https://evil\n'})


def delete_both(checkout: Checkout) -> None:
    (checkout.work / ".gitmodules").unlink()
    shutil.rmtree(checkout.work / "libs")


def file_instead(checkout: Checkout) -> None:
    (checkout.work / "libs/sub").rmdir()
    write(checkout.work, {"libs/sub": "a file"})
    (checkout.work / ".gitmodules").unlink()


@pytest.mark.parametrize("change", [git_rm, edit, delete_both, file_instead])
async def test_a_submodule_and_its_entry_stay_together(checkout: Checkout, change: Callable[[Checkout], None]) -> None:
    change(checkout)
    assert await commit_work_tree(checkout, "x") is None
    write(checkout.work, {"made": "x"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    changed = await checkout.run_git("diff-tree", "-r", "--name-only", str(checkout.base), sha)
    assert changed.decode().split() == ["made"]


async def test_a_file_in_place_of_a_directory_of_submodules_is_refused(checkout: Checkout) -> None:
    shutil.rmtree(checkout.work / "libs")
    write(checkout.work, {"libs": "a file"})
    with pytest.raises(UncommittableTree, match="in the way of these: libs/sub"):
        await commit_work_tree(checkout, "x")


async def test_without_submodules_the_file_is_one_like_any_other(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.mirror(str(origin)).fetch()
    checkout = await checkouts.open("job", 1, str(origin), git(origin, "rev-parse", "main"), BRANCH)
    write(checkout.work, {".gitmodules": "[submodule]\n"})
    assert await commit_work_tree(checkout, "x")
