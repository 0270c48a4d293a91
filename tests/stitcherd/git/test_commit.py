"""Tests that the agent's work becomes one commit, whatever it did to its own git, and is published."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git import GitError, UncommittableTree
from stitcherd.git import commit as commit_module
from stitcherd.git.checkout import Checkout
from stitcherd.git.commit import added_lines, added_names, diff_stat, write_patch
from stitcherd.git.publish import publish
from stitcherd.git.remote import Remote
from stitcherd.git.tree_changes import DiffStat
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, git, write


async def test_an_unchanged_tree_makes_no_commit(checkout: Checkout) -> None:
    write(checkout.work, {"x.tmp": "ignored"})
    assert await commit_work_tree(checkout, "nothing") is None


async def test_all_changes_since_the_base_are_one_commit(checkout: Checkout, origin: Path) -> None:
    commit(checkout.work, {"new.txt": "1\n"})
    commit(checkout.work, {"new.txt": "1\n2\n"})
    (checkout.work / "a.txt").unlink()
    (checkout.work / "b/c.txt").rename(checkout.work / "b/d\t\n.txt")
    (checkout.work / "bin").write_bytes(b"\0\1" * 100)
    (checkout.work / "link").symlink_to("/etc/passwd")
    sha = await commit_work_tree(checkout, "Title\n\nStitcher-Job: job\n", "An Agent")
    assert sha
    assert await diff_stat(checkout, sha) == DiffStat(files=5, additions=3, deletions=2)
    await publish(checkout, sha, Remote(checkout.git, str(origin)), BRANCH)
    shown = git(origin, "log", "-1", "--format=%P|%an|%ae|%cn|%B", BRANCH)
    assert shown == f"{checkout.base}|An Agent|stitcher@localhost|Stitcher|Title\n\nStitcher-Job: job"
    assert git(origin, "cat-file", "-p", f"{BRANCH}:link") == "/etc/passwd"


def remove_git(checkout: Checkout) -> None:
    shutil.rmtree(checkout.work / ".git")


def fresh_init(checkout: Checkout) -> None:
    remove_git(checkout)
    git(checkout.work, "init", "-q")
    commit(checkout.work, {})


def git_is_a_file(checkout: Checkout) -> None:
    remove_git(checkout)
    (checkout.work / ".git").write_text("gitdir: /etc\n")


def hide_changes(checkout: Checkout) -> None:
    git(checkout.work, "update-index", "--assume-unchanged", "a.txt")
    git(checkout.work, "update-index", "--skip-worktree", "a.txt")
    write(checkout.work, {".git/info/exclude": "*\n"})


def broken_index(checkout: Checkout) -> None:
    write(checkout.work, {".git/index": "rubbish", ".git/index.lock": "", ".git/config": "[core"})


def redirect(checkout: Checkout) -> None:
    git(checkout.work, "config", "core.worktree", "/tmp")
    git(checkout.work, "replace", "-f", "HEAD", git(checkout.work, "commit-tree", "-m", "x", "HEAD^{tree}"))


@pytest.mark.parametrize("trick", [remove_git, fresh_init, git_is_a_file, hide_changes, broken_index, redirect])
async def test_changes_to_the_agents_git_do_not_matter(checkout: Checkout, trick: Callable[[Checkout], None]) -> None:
    write(checkout.work, {"a.txt": "one\ntwo\nthree\n", "new": "n\n"})
    trick(checkout)
    sha = await commit_work_tree(checkout, "x")
    assert sha
    assert await diff_stat(checkout, sha) == DiffStat(files=2, additions=2, deletions=0)


@pytest.mark.parametrize("with_commit", [True, False])
async def test_a_repository_inside_the_tree_is_refused_by_name(checkout: Checkout, with_commit: bool) -> None:
    inner = checkout.work / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    if with_commit:
        commit(inner, {"x": "x"})
    with pytest.raises(GitError, match=r"git repositories of its own, which cannot be committed: inner\.$"):
        await commit_work_tree(checkout, "x")
    shutil.rmtree(inner / ".git")
    (inner / "x").write_text("x")
    assert await commit_work_tree(checkout, "x")


@pytest.mark.parametrize(
    ("name", "reason"),
    [(".GIT/config", "invalid path"), ("git~1/config", "invalid path"), (".g\u200cit/config", "invalid path")],
)
async def test_another_spelling_of_the_git_directory_is_refused(checkout: Checkout, name: str, reason: str) -> None:
    write(checkout.work, {name: "[core]\n"})
    with pytest.raises(UncommittableTree, match=reason):
        await commit_work_tree(checkout, "x")


async def test_a_pipe_over_a_tracked_file_is_refused(checkout: Checkout) -> None:
    (checkout.work / "a.txt").unlink()
    os.mkfifo(checkout.work / "a.txt")
    with pytest.raises(UncommittableTree, match=r"a\.txt"):
        await commit_work_tree(checkout, "x")


async def test_no_control_character_reaches_a_commit(checkout: Checkout) -> None:
    write(checkout.work, {"a.txt": "x\n"})
    sha = await commit_work_tree(checkout, "bad\0 \x1b[31m\x9btitle\r\n\nStitcher-Job: a\x07b\n", "An\0 \x1bAgent")
    assert sha
    raw = (await checkout.run_git("cat-file", "commit", sha)).decode()
    assert raw.endswith("\n\nbad [31mtitle\n\nStitcher-Job: ab\n")
    assert "author An Agent <" in raw


@pytest.mark.parametrize("name", ["work", "work/.git"])
async def test_a_link_in_place_of_the_tree_is_refused(checkout: Checkout, tmp_path: Path, name: str) -> None:
    place = checkout.directory / name
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(GitError, match="symbolic link"):
        await commit_work_tree(checkout, "x")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 2**20])
async def test_the_added_lines_and_names_of_a_patch(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(commit_module, "_PIECE_MAX", size)
    write(checkout.work, {"a.txt": "two\n++ x\n\n-- y\nlast", "new": "\0bin\n"})
    (checkout.work / "b/c.txt").unlink()
    sha = await commit_work_tree(checkout, "x")
    assert sha
    patch = await write_patch(checkout, sha)
    assert added_names(patch) == [b"a.txt", b"new"]
    lines = b"".join(added_lines(patch)).split(b"\n")
    assert [line for line in lines if not line.startswith(b"++ ")] == [b"", b"-- y", b"last", b"\0bin", b""]
    assert [line for line in lines if line.startswith(b"++ ")] == [
        *(b"++ b/a.txt", b"++ x", b"++ /dev/null", b"++ b/new")
    ]
