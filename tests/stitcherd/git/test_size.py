"""Tests the limit on what a commit may add."""

import os
import time
from pathlib import Path

import pytest

from stitcherd.git import GitError, UncommittableTree, size
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree, record_baseline
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


async def test_a_huge_sparse_file_is_refused_at_once_and_named(checkout: Checkout) -> None:
    write(checkout.work, {"small": "x"})
    with (checkout.work / "b/huge\n.bin").open("wb") as file:
        file.truncate(2**40)
    began = time.monotonic()
    with pytest.raises(GitError) as refused:
        await commit_work_tree(checkout, "x")
    assert time.monotonic() - began < 5
    assert str(refused.value) == (
        "The change adds 1024 GiB, and a commit may add 256 MiB; the largest file is 'b/huge\\n.bin' with 1024 GiB."
    )


async def test_many_files_count_together(checkout: Checkout) -> None:
    for number in range(4):
        with (checkout.work / f"big{number}").open("wb") as file:
            file.truncate(size.ADDED_MAX // 4)
    with (checkout.work / "a.txt").open("wb") as file:
        file.truncate(1000)
    with pytest.raises(GitError, match=r"The change adds 256 MiB, .* the largest file is 'big0' with 64 MiB"):
        await commit_work_tree(checkout, "x")


async def test_ignored_files_and_those_of_the_base_do_not_count(
    checkouts: Checkouts, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "ADDED_MAX", 1000)
    commit(origin, {"large": "x" * 5000, "b/gone": "x" * 5000})
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    write(checkout.work, {"large": "y" * 5900, "venv/lib": "z" * 5000, "x.tmp": "z" * 5000})
    (checkout.work / "b/gone").unlink()
    (checkout.work / "link").symlink_to("/" + "l" * 200)
    os.mkfifo(checkout.work / "fifo")
    made = await commit_work_tree(checkout, "x")
    assert made
    assert git(checkout.directory / "stitcher.git", "diff", "--name-status", base, made).split() == [
        *("D", "b/gone", "M", "large", "A", "link")
    ]
    write(checkout.work, {"large": "y" * 6100})
    with pytest.raises(GitError, match="the largest file is 'large' with 6 KiB"):
        await commit_work_tree(checkout, "x")


async def test_what_was_prepared_counts_only_once_it_is_touched(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(size, "ADDED_MAX", 1000)
    prepared = checkout.work / "prepared.bin"
    with prepared.open("wb") as file:
        file.truncate(size.ADDED_MAX + 1)
    await record_baseline(checkout, prepared=True)
    assert await commit_work_tree(checkout, "x") is None
    prepared.chmod(0o755)
    with pytest.raises(UncommittableTree, match=r"prepared\.bin"):
        await commit_work_tree(checkout, "x")
