"""The checkouts for gates: the commit, and nothing but the commit."""

import shutil
from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout
from tests.stitcherd.git.repositories import git, write


async def test_a_gate_sees_exactly_the_commit(checkout: Checkout) -> None:
    write(checkout.work, {"a.txt": "changed\n", "x.tmp": "ignored", ".git/info/exclude": "*\n"})
    sha = await checkout.commit("x")
    assert sha
    write(checkout.work, {"late.txt": "after the commit"})
    path = await checkout.check_out("tests / unit", sha)
    assert path.parent == checkout.directory
    assert {p.name for p in path.iterdir()} == {".git", ".gitignore", "a.txt", "b", "tests"}
    assert git(path, "status", "--porcelain", "--branch") == "## HEAD (no branch)"
    assert git(path, "rev-parse", "HEAD") == sha
    assert git(path, "log", "--format=%H").split() == [sha, checkout.base]
    assert git(path, "describe", "--tags").startswith("v1-1-g")


async def test_between_gates_the_checkout_is_as_committed(checkout: Checkout, tmp_path: Path) -> None:
    write(checkout.work, {"a.txt": "changed\n"})
    sha = await checkout.commit("x")
    assert sha
    path = await checkout.check_out("gate", sha)
    write(path, {"a.txt": "by the gate\n", "junk/x": "", "venv/lib": "ignored", ".git/config": "[core]\nbare = maybe"})
    git(tmp_path, "init", "-q", str(path / "nested"))
    shutil.rmtree(path / "b")
    (path / "b").symlink_to(tmp_path)
    await checkout.reset(path, sha)
    assert (path / "a.txt").read_text() == "changed\n"
    assert (path / "b/c.txt").read_text() == "c\n"
    assert not (path / "venv").exists()
    assert not (path / "junk").exists()
    assert not (path / "nested").exists()
    assert not (tmp_path / "c.txt").exists()
    assert git(path, "status", "--porcelain") == ""


async def test_named_files_are_as_the_base_has_them(checkout: Checkout) -> None:
    changed = {"a.txt": "x\n", "b/c.txt": "x\n", "b/[id].txt": "x\n", "tests/deep/new.py": "x\n", "tests/t.py": "x\n"}
    write(checkout.work, changed)
    sha = await checkout.commit("x")
    assert sha
    path = await checkout.check_out("gate", sha)
    write(path, {"tests/cache.tmp": "ignored"})
    await checkout.restore_from_base(path, ["tests/*.py", "b/[id].txt", "no/such"])
    assert (path / "tests/t.py").read_text() == "t\n"
    assert not (path / "tests/deep/new.py").exists()
    assert not (path / "b/[id].txt").exists()
    assert (path / "tests/cache.tmp").exists()
    assert (path / "b/c.txt").read_text() == "x\n"
    await checkout.restore_from_base(path, ["tests"])
    assert not (path / "tests/cache.tmp").exists()
    await checkout.restore_from_base(path, [])
    assert (path / "a.txt").read_text() == "x\n"


async def test_restoring_follows_no_link(checkout: Checkout, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, {"c.txt": "outside\n", "new.txt": "outside\n"})
    shutil.rmtree(checkout.work / "b")
    (checkout.work / "b").symlink_to(outside)
    (checkout.work / "a.txt").unlink()
    (checkout.work / "a.txt").symlink_to(outside / "c.txt")
    sha = await checkout.commit("x")
    assert sha
    path = await checkout.check_out("gate", sha)
    await checkout.restore_from_base(path, ["b/c.txt", "b/new.txt", "a.txt"])
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"c.txt": "outside\n", "new.txt": "outside\n"}
    assert (path / "b/c.txt").read_text() == "c\n"
    assert (path / "a.txt").read_text() == "one\ntwo\n"
    assert not (path / "a.txt").is_symlink()
    with pytest.raises(GitError, match="outside repository"):
        await checkout.restore_from_base(path, ["../work/a.txt"])
