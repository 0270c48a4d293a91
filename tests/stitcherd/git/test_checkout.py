"""Tests the checkouts of an attempt: the agent's clone, the checkouts for gates, and their removal."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, Checkouts, UnusableCheckouts
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


async def test_the_clone_is_clean_on_its_branch_and_independent(checkout: Checkout, tmp_path: Path) -> None:
    work = checkout.work
    assert git(work, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert git(work, "rev-parse", "HEAD", "v1").split() == [checkout.base] * 2
    assert git(work, "remote") == ""
    assert not (work / ".git/objects/info/alternates").exists()
    assert not (work / ".git/hooks").exists()
    assert all(path.stat().st_nlink == 1 for path in (work / ".git/objects").rglob("*") if path.is_file())
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    assert str(mirror) not in (work / ".git/config").read_text()


async def test_refs_that_the_agent_changes_in_its_clone_change_nowhere_else(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    commit(checkout.work, {"a.txt": "evil\n"})
    git(checkout.work, "branch", "-f", "main", "HEAD")
    git(checkout.work, "tag", "-f", "v1", "HEAD")
    for name in ("main", "v1"):
        assert await checkouts.mirror(str(origin)).resolve(name) == checkout.base


async def test_without_a_repository_the_work_tree_is_empty(checkouts: Checkouts) -> None:
    checkout = await checkouts.open("job", 1, None, None, BRANCH)
    assert list(checkout.work.iterdir()) == []
    assert checkout.tmp.is_dir()
    (checkout.work / "x").touch()
    assert await commit_work_tree(checkout, "x") is None
    with pytest.raises(GitError, match="no repository"):
        await checkout.check_out("x", "0" * 40)


async def test_the_remains_of_a_crash_are_replaced(checkouts: Checkouts, checkout: Checkout, origin: Path) -> None:
    (checkout.work / "left").touch()
    again = await checkouts.open("job", 1, str(origin), checkout.base, BRANCH)
    assert not (again.work / "left").exists()


async def test_removing_works_without_permissions_and_follows_no_link(checkout: Checkout, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    write(kept, {"x": "x"})
    write(checkout.work, {"closed/deep/x": "x"})
    (checkout.work / "closed/out").symlink_to(kept)
    (checkout.work / "closed/deep").chmod(0)
    (checkout.work / "closed").chmod(0o500)
    await checkout.remove()
    assert not checkout.directory.parent.exists()
    assert (kept / "x").exists()


def nest_deeply(path: Path) -> None:
    code = "import os\nfor _ in range(1200): os.mkdir('dddd'); os.chdir('dddd')"
    subprocess.run([sys.executable, "-c", code], cwd=path, check=True)


async def test_a_very_deep_tree_can_be_removed(checkouts: Checkouts, checkout: Checkout) -> None:
    nest_deeply(checkout.work)
    await checkouts.remove("job")
    assert not checkout.directory.exists()


async def test_the_checkout_of_a_gate_is_exactly_the_commit(checkout: Checkout) -> None:
    write(checkout.work, {"a.txt": "changed\n", "x.tmp": "ignored", ".git/info/exclude": "*\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    write(checkout.work, {"late.txt": "after the commit"})
    path = await checkout.check_out("tests / unit", sha)
    assert path.parent == checkout.directory
    assert {p.name for p in path.iterdir()} == {".git", ".gitignore", "a.txt", "b", "tests"}
    assert git(path, "status", "--porcelain", "--branch") == "## HEAD (no branch)"
    assert git(path, "rev-parse", "HEAD") == sha
    assert git(path, "log", "--format=%H").split() == [sha, checkout.base]
    assert git(path, "describe", "--tags").startswith("v1-1-g")


async def test_a_reset_restores_the_commit(checkout: Checkout, tmp_path: Path) -> None:
    write(checkout.work, {"a.txt": "changed\n"})
    sha = await commit_work_tree(checkout, "x")
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


async def test_named_files_are_restored_from_the_base(checkout: Checkout) -> None:
    changed = {"a.txt": "x\n", "b/c.txt": "x\n", "b/[id].txt": "x\n", "tests/deep/new.py": "x\n", "tests/t.py": "x\n"}
    write(checkout.work, changed)
    sha = await commit_work_tree(checkout, "x")
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
    sha = await commit_work_tree(checkout, "x")
    assert sha
    path = await checkout.check_out("gate", sha)
    await checkout.restore_from_base(path, ["b/c.txt", "b/new.txt", "a.txt"])
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"c.txt": "outside\n", "new.txt": "outside\n"}
    assert (path / "b/c.txt").read_text() == "c\n"
    assert (path / "a.txt").read_text() == "one\ntwo\n"
    assert not (path / "a.txt").is_symlink()
    with pytest.raises(GitError, match="outside repository"):
        await checkout.restore_from_base(path, ["../work/a.txt"])


async def test_a_change_that_keeps_size_and_time_is_committed(checkout: Checkout) -> None:
    """The index of the commit knows how files were when the work tree was filled, and the agent can set their times."""
    file = checkout.work / "a.txt"
    before = file.stat()
    file.write_text(file.read_text().replace("one", "ONE"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    sha = await commit_work_tree(checkout, "x")
    assert sha
    assert (await checkout.run_git("show", f"{sha}:a.txt")).decode().startswith("ONE\n")


async def test_an_index_that_the_agent_planted_does_not_count(checkout: Checkout) -> None:
    (checkout.directory / "index").write_bytes(b"planted")
    write(checkout.work, {"a.txt": "changed\n"})
    assert await commit_work_tree(checkout, "x")


def shared_files(checkout: Checkout) -> dict[Path, bytes]:
    files = (file for directory in checkout.shared_objects for file in directory.rglob("*") if file.is_file())
    return {file: file.read_bytes() for file in files}


async def test_checkouts_for_gates_share_objects_and_write_none_of_them(checkout: Checkout) -> None:
    write(checkout.work, {"a.txt": "changed\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    path = await checkout.check_out("gate", sha)
    assert [file for file in (path / ".git/objects").rglob("*") if file.is_file()] == [
        path / ".git/objects/info/alternates"
    ]
    before = shared_files(checkout)
    commit(path, {"b.txt": "by a gate\n"})
    git(path, "gc", "-q", "--prune=now")
    assert git(path, "fsck", "--strict") == ""
    assert shared_files(checkout) == before


def test_the_directory_of_checkouts_is_ours_alone(tmp_path: Path) -> None:
    """It may be below a directory in which everybody can create others, like /dev/shm."""
    directory = tmp_path / "shared/of-this-daemon"
    Checkouts(tmp_path / "state", directory=directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.chmod(0o777)
    with pytest.raises(UnusableCheckouts, match=r"is shared with others; see daemon\.checkouts"):
        Checkouts(tmp_path / "state", directory=directory)
    (tmp_path / "file").touch()
    with pytest.raises(UnusableCheckouts, match="Not a directory"):
        Checkouts(tmp_path / "state", directory=tmp_path / "file/x")


async def test_a_job_is_moved_aside_also_where_a_killed_daemon_moved_an_earlier_attempt(checkouts: Checkouts) -> None:
    moved = []
    for attempt in (1, 2):
        await checkouts.open("job", attempt, None, None, "stitcher/x")
        moved.append(checkouts.move_aside("job"))
    assert not checkouts.directory("job").exists()
    for name in moved:
        assert checkouts.directory(name).is_dir()
        await checkouts.remove(name)
        assert not checkouts.directory(name).exists()
