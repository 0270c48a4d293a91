"""Tests that the repositories that are written by hand are what git itself would have made."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.git.repository_files import IndexFile, copy_objects
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


def make_origin(path: Path, *options: str) -> Path:
    path.mkdir()
    git(path, "init", "-q", "-b", "main", *options)
    commit(path, {"a.txt": "one\n"})
    git(path, "tag", "-m", "x", "v1")
    commit(path, {"a.txt": "two\n"})
    return path


def shallow_origin(path: Path) -> Path:
    whole = make_origin(path.with_name("whole"))
    git(whole, "clone", "-q", "--depth", "1", f"file://{whole}", str(path))
    return path


ORIGINS: dict[str, Callable[[Path], Path]] = {
    "sha1": make_origin,
    "sha256": lambda path: make_origin(path, "--object-format=sha256"),
    "shallow": shallow_origin,
}


@pytest.mark.parametrize("kind", ORIGINS)
async def test_git_accepts_each_repository_of_an_attempt(checkouts: Checkouts, tmp_path: Path, kind: str) -> None:
    origin = str(ORIGINS[kind](tmp_path / "repository"))
    await checkouts.mirror(origin).fetch()
    base = await checkouts.mirror(origin).resolve("main")
    checkout = await checkouts.open("job", 1, origin, base, BRANCH)
    assert git(checkout.work, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    write(checkout.work, {"a.txt": "three\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    gate = await checkout.check_out("gate", sha)
    assert git(gate, "log", "--format=%H", "-2").split() == [sha, base]
    commit(checkout.work, {"b.txt": "by the agent\n"})
    for repository in (checkout.work, gate, checkout.repository):
        assert git(repository, "fsck", "--strict", "--no-dangling") == ""
    if kind != "shallow":
        assert git(gate, "describe") == f"v1-2-g{sha[:7]}"


async def test_a_mirror_without_objects_is_reported(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    mirror = checkouts.mirror(str(origin))
    mirror.path.rename(mirror.path.with_name("away"))
    origin.rename(origin.with_name("elsewhere"))
    with pytest.raises(GitError):
        await checkouts.open("job", 1, str(origin), base, BRANCH)


@pytest.mark.parametrize("code", [None, errno.EXDEV, errno.EOPNOTSUPP])
def test_objects_are_copied_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    """Where the kernel copies nothing between two file systems, they are read and written."""
    real = os.copy_file_range

    def copy(source: int, target: int, count: int) -> int:
        if code is not None:
            raise OSError(code, os.strerror(code))
        return real(source, target, min(count, 1000))

    monkeypatch.setattr(os, "copy_file_range", copy)
    source, target = tmp_path / "source", tmp_path / "target"
    files = {"17/abc": os.urandom(5000), "pack/p.pack": os.urandom(3_000_000), "info/commit-graph": b""}
    for name, content in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    (source / "pack/tmp_pack_x").write_bytes(b"left by a git that was killed")
    (source / "info/alternates").write_text("/elsewhere\n")
    target.mkdir()
    copy_objects(source, target)
    found = {str(each.relative_to(target)): each.read_bytes() for each in target.rglob("*") if each.is_file()}
    assert found == files


def test_an_error_of_the_disk_ends_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "copy_file_range", full)
    (tmp_path / "source").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "source/x").write_bytes(b"x")
    with pytest.raises(OSError, match="full"):
        copy_objects(tmp_path / "source", tmp_path / "target")


def test_an_index_keeps_its_time(tmp_path: Path) -> None:
    """By that time git finds the files that may have changed in the same instant."""
    (tmp_path / "index").write_bytes(b"DIRC")
    os.utime(tmp_path / "index", ns=(5, 1_700_000_000_123_456_789))
    IndexFile.read(tmp_path / "index").write(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b"DIRC"
    assert (tmp_path / "again").stat().st_mtime_ns == (tmp_path / "index").stat().st_mtime_ns
