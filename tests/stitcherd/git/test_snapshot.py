"""Tests the snapshot of a directory."""

import asyncio
import time
from pathlib import Path

import pytest

from stitcherd import processes
from stitcherd.git import snapshot
from stitcherd.git.snapshot import LARGE_TREE, remove_tree
from tests.stitcherd.git.repositories import write


async def test_unchanged_files_are_not_copied_again(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write(tree, {f"{name}/{name}": name for name in "abc"})
    # A file newer than a tick of the clock could change without a trace, and is always copied.
    youngest = max(file.stat().st_ctime_ns for file in tree.rglob("*"))
    while time.clock_gettime_ns(snapshot.CTIME_CLOCK) <= youngest:  # noqa: ASYNC110 (a tick has no event)
        await asyncio.sleep(0.001)
    copy = snapshot.DirectorySnapshot(tree, tmp_path / "copy")
    await copy.take()
    before = (tree / "a/a").stat().st_ctime_ns
    (tree / "b/b").write_text("evil")
    (tree / "c/c").rename(tree / "c/d")
    await copy.restore()
    assert (tree / "a/a").stat().st_ctime_ns == before
    assert {name: (tree / name / name).read_text() for name in "abc"} == {"a": "a", "b": "b", "c": "c"}
    assert not (tree / "c/d").exists()


async def test_a_directory_that_cannot_be_copied_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot be copied: cp: .*No such file"):
        await snapshot.DirectorySnapshot(tmp_path / "gone", tmp_path / "copy").take()


async def test_a_tree_that_no_program_can_be_started_for_is_an_error_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise processes.CannotStartNow("rm cannot be started: Too many open files.")

    monkeypatch.setattr(processes, "capture", fail)
    monkeypatch.setattr(snapshot, "LARGE_TREE", 0)
    write(tmp_path / "tree", {"a": "a"})
    with pytest.raises(OSError, match="Too many open files"):
        await remove_tree(tmp_path / "tree")


async def test_a_large_tree_is_removed_and_no_link_is_followed(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    for name in ("a", "b"):
        (tree / name).mkdir(parents=True)
        for number in range(LARGE_TREE):
            (tree / name / str(number)).touch()
    (tree / "link").symlink_to(kept)
    (tree / "b").chmod(0o500)
    (tmp_path / "link").symlink_to(tree)
    await remove_tree(tmp_path / "link")
    assert tree.exists()
    await remove_tree(tree)
    assert not tree.exists()
    assert (kept / "file").exists()
