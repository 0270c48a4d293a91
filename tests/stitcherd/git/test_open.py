"""An attempt's own clone: what is in it, that it leads nowhere, and that it can be removed."""

import subprocess
import sys
from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.checkout import Checkout, Checkouts
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


async def test_the_clone_is_clean_on_its_branch_and_leads_nowhere(checkout: Checkout, tmp_path: Path) -> None:
    work = checkout.work
    assert git(work, "status", "--porcelain", "--branch") == f"## {BRANCH}"
    assert git(work, "rev-parse", "HEAD", "v1").split() == [checkout.base] * 2
    assert git(work, "remote") == ""
    assert not (work / ".git/objects/info/alternates").exists()
    assert not (work / ".git/hooks").exists()
    assert all(path.stat().st_nlink == 1 for path in (work / ".git/objects").rglob("*") if path.is_file())
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    assert str(mirror) not in (work / ".git/config").read_text()


async def test_what_the_agent_moves_in_its_clone_moves_nothing_else(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    commit(checkout.work, {"a.txt": "evil\n"})
    git(checkout.work, "branch", "-f", "main", "HEAD")
    git(checkout.work, "tag", "-f", "v1", "HEAD")
    for name in ("main", "v1"):
        assert await checkouts.resolve(str(origin), name) == checkout.base


async def test_without_a_repository_there_is_an_empty_directory(checkouts: Checkouts) -> None:
    checkout = await checkouts.open("job", 1, None, None, BRANCH)
    assert list(checkout.work.iterdir()) == []
    assert checkout.tmp.is_dir()
    (checkout.work / "x").touch()
    assert await checkout.commit("x") is None
    with pytest.raises(GitError, match="no repository"):
        await checkout.check_out("x", "0" * 40)


async def test_what_a_crash_left_of_an_attempt_is_replaced(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    (checkout.work / "left").touch()
    again = await checkouts.open("job", 1, str(origin), checkout.base, BRANCH)
    assert not (again.work / "left").exists()


async def test_removing_opens_closed_doors_and_follows_no_link(checkout: Checkout, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    write(kept, {"x": "x"})
    write(checkout.work, {"closed/deep/x": "x"})
    (checkout.work / "closed/out").symlink_to(kept)
    (checkout.work / "closed/deep").chmod(0)
    (checkout.work / "closed").chmod(0o500)
    await checkout.remove()
    assert not checkout.directory.parent.exists()
    assert (kept / "x").exists()


def dig(path: Path) -> None:
    code = "import os\nfor _ in range(1200): os.mkdir('dddd'); os.chdir('dddd')"
    subprocess.run([sys.executable, "-c", code], cwd=path, check=True)


async def test_a_very_deep_tree_can_be_removed(checkouts: Checkouts, checkout: Checkout) -> None:
    dig(checkout.work)
    await checkouts.remove("job")
    assert not checkout.directory.exists()
