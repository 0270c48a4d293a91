"""Mirrors, an agent's clone, Stitcher's view of it, and the checkouts for gates, all on real repositories."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git import GitFailed
from stitcherd.git.checkout import Checkout, DiffStat
from stitcherd.git.checkouts import Checkouts

BRANCH = "stitcher/0123456789ab"
ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def git(path: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *words], cwd=path, env=ENV, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def commit(path: Path, files: dict[str, str]) -> str:
    write(path, files)
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "x")
    return git(path, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    path = tmp_path / "origin"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    commit(path, {"a.txt": "one\ntwo\n", "b/c.txt": "c\n", ".gitignore": "*.tmp\nvenv/\n", "tests/t.py": "t\n"})
    git(path, "tag", "v1")
    return path


@pytest.fixture
def checkouts(tmp_path: Path) -> Checkouts:
    return Checkouts(tmp_path / "state")


@pytest.fixture
async def checkout(checkouts: Checkouts, origin: Path) -> Checkout:
    await checkouts.fetch(str(origin))
    base = await checkouts.pin(str(origin), "main")
    return await checkouts.open("job", 1, str(origin), base, BRANCH)


def evil(path: Path) -> str:
    """A program that leaves a mark when it is run."""
    path.write_text(f"#!/bin/sh\ntouch {path}.ran\n")
    path.chmod(0o755)
    return str(path)


def found(root: Path, pattern: str) -> list[Path]:
    return list(root.rglob(pattern))


async def test_a_name_is_pinned_as_the_last_fetch_saw_it(checkouts: Checkouts, origin: Path) -> None:
    first = git(origin, "rev-parse", "main")
    git(origin, "tag", "-a", "-m", "x", "v2")
    git(origin, "branch", "gone")
    await checkouts.fetch(str(origin))
    for name in ("main", "v1", "v2", "gone", "refs/heads/main", "refs/tags/v2", first):
        assert await checkouts.pin(str(origin), name) == first
    git(origin, "branch", "-D", "gone")
    second = commit(origin, {"a.txt": "new\n"})
    assert await checkouts.pin(str(origin), "main") == first
    await checkouts.fetch(str(origin))
    assert await checkouts.pin(str(origin), "main") == second
    with pytest.raises(GitFailed, match="no branch or tag 'gone'"):
        await checkouts.pin(str(origin), "gone")


async def test_a_forced_push_and_a_branch_turned_folder_are_followed(checkouts: Checkouts, origin: Path) -> None:
    git(origin, "branch", "x")
    await checkouts.fetch(str(origin))
    git(origin, "branch", "-D", "x")
    git(origin, "branch", "x/y")
    git(origin, "commit", "-q", "--amend", "-m", "again")
    await checkouts.fetch(str(origin))
    assert await checkouts.pin(str(origin), "main") == git(origin, "rev-parse", "main")
    assert await checkouts.pin(str(origin), "x/y")


async def test_a_hostile_name_is_refused(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.fetch(str(origin))
    for name in (
        *("-x", "--upload-pack=touch x", "a..b", "a:b", "a b", "a\nb", "a\0b", "main~1", "main^", "main@{1}", "*"),
        *("", "/", "a.lock", "main^{/x}", "\ud800", "\udcff:", "../x", "HEAD", "main/", "a" * 5000, "0" * 40),
    ):
        with pytest.raises(GitFailed):
            await checkouts.pin(str(origin), name)


async def test_a_hostile_branch_is_neither_opened_nor_published(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    for name in ("-x", "a:b", "a..b", "", "x\n"):
        with pytest.raises(GitFailed):
            await checkouts.open("other", 1, str(origin), checkout.base, name)
        with pytest.raises(GitFailed):
            await checkout.publish(str(checkout.base), str(origin), name)


@pytest.mark.parametrize("clone", ["ext::sh -c touch% ran", "--upload-pack=touch ran", "/no/such/place"])
async def test_what_is_no_repository_is_told(checkouts: Checkouts, tmp_path: Path, clone: str) -> None:
    with pytest.raises(GitFailed, match=r"git clone failed: .*fatal"):
        await checkouts.fetch(clone)
    assert not found(tmp_path, "ran")


async def test_a_password_in_an_address_is_not_told(checkouts: Checkouts) -> None:
    with pytest.raises(GitFailed) as told:
        await checkouts.pin("https://me:hunter2@127.0.0.1/x.git", "main")
    assert "hunter2" not in str(told.value)


async def test_locks_of_a_killed_git_do_not_stop_the_next_daemon(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    await checkouts.fetch(str(origin))
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs/heads/main.lock").touch()
    second = commit(origin, {"a.txt": "new\n"})
    after = Checkouts(tmp_path / "state")
    await after.fetch(str(origin))
    assert await after.pin(str(origin), "main") == second


async def test_two_fetches_at_once_wait_for_each_other(checkouts: Checkouts, origin: Path) -> None:
    await asyncio.gather(*(checkouts.fetch(str(origin)) for _ in range(4)))


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
        assert await checkouts.pin(str(origin), name) == checkout.base


async def test_without_a_repository_there_is_an_empty_directory(checkouts: Checkouts) -> None:
    checkout = await checkouts.open("job", 1, None, None, BRANCH)
    assert list(checkout.work.iterdir()) == []
    assert checkout.tmp.is_dir()
    (checkout.work / "x").touch()
    assert await checkout.commit("x") is None
    with pytest.raises(GitFailed, match="no repository"):
        await checkout.fresh("x", "0" * 40)


async def test_what_a_crash_left_of_an_attempt_is_replaced(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    (checkout.work / "left").touch()
    again = await checkouts.open("job", 1, str(origin), checkout.base, BRANCH)
    assert not (again.work / "left").exists()


async def test_an_unchanged_tree_is_no_commit(checkout: Checkout) -> None:
    write(checkout.work, {"x.tmp": "ignored"})
    assert await checkout.commit("nothing") is None


async def test_all_since_the_base_is_one_commit(checkout: Checkout, origin: Path) -> None:
    commit(checkout.work, {"new.txt": "1\n"})
    commit(checkout.work, {"new.txt": "1\n2\n"})
    (checkout.work / "a.txt").unlink()
    (checkout.work / "b/c.txt").rename(checkout.work / "b/d\t\n.txt")
    (checkout.work / "bin").write_bytes(b"\0\1" * 100)
    (checkout.work / "link").symlink_to("/etc/passwd")
    sha = await checkout.commit("Title\n\nStitcher-Job: job\n", "An Agent")
    assert sha
    assert await checkout.diff(sha) == DiffStat(files=5, additions=3, deletions=2)
    await checkout.publish(sha, str(origin), BRANCH)
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


def hide(checkout: Checkout) -> None:
    git(checkout.work, "update-index", "--assume-unchanged", "a.txt")
    git(checkout.work, "update-index", "--skip-worktree", "a.txt")
    write(checkout.work, {".git/info/exclude": "*\n"})


def broken_index(checkout: Checkout) -> None:
    write(checkout.work, {".git/index": "rubbish", ".git/index.lock": "", ".git/config": "[core"})


def elsewhere(checkout: Checkout) -> None:
    git(checkout.work, "config", "core.worktree", "/tmp")
    git(checkout.work, "replace", "-f", "HEAD", git(checkout.work, "commit-tree", "-m", "x", "HEAD^{tree}"))


@pytest.mark.parametrize("trick", [remove_git, fresh_init, git_is_a_file, hide, broken_index, elsewhere])
async def test_what_the_agent_did_to_its_git_does_not_matter(
    checkout: Checkout, trick: Callable[[Checkout], None]
) -> None:
    write(checkout.work, {"a.txt": "one\ntwo\nthree\n", "new": "n\n"})
    trick(checkout)
    sha = await checkout.commit("x")
    assert sha
    assert await checkout.diff(sha) == DiffStat(files=2, additions=2, deletions=0)


async def test_nothing_that_the_agent_plants_is_run(checkout: Checkout, origin: Path, tmp_path: Path) -> None:
    program = evil(tmp_path / "evil")
    for name in ("core.fsmonitor", "core.hooksPath", "filter.x.clean", "filter.x.smudge", "diff.x.textconv"):
        git(checkout.work, "config", name, str(tmp_path) if name == "core.hooksPath" else program)
    git(checkout.work, "config", "diff.external", program)
    for hook in ("pre-commit", "post-checkout", "pre-push", "post-index-change", "reference-transaction"):
        shutil.copy(program, tmp_path / hook)
    shutil.copytree(checkout.work / ".git", checkout.directory / "stitcher.git", dirs_exist_ok=True)
    write(checkout.work, {".gitattributes": "* filter=x diff=x\n", "a.txt": "changed\n"})
    sha = await checkout.commit("x")
    assert sha
    await checkout.diff(sha)
    path = await checkout.fresh("gate", sha)
    await checkout.restore_from_base(path, ["a.txt"])
    await checkout.reset(path, sha)
    await checkout.publish(sha, str(origin), BRANCH)
    assert not found(tmp_path, "*.ran")


async def test_git_is_not_asked_inside_a_submodule(checkouts: Checkouts, origin: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    pinned = commit(inner, {"x": "x"})
    git(origin, "submodule", "--quiet", "add", str(inner), "sub")
    base = commit(origin, {})
    await checkouts.fetch(str(origin))
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    git(checkout.work, "clone", "-q", str(inner), "sub")
    program = evil(tmp_path / "evil")
    git(checkout.work / "sub", "config", "core.fsmonitor", program)
    git(checkout.work / "sub", "config", "filter.x.clean", program)
    write(checkout.work, {"a.txt": "changed\n", "sub/x": "y", "sub/.gitattributes": "* filter=x\n"})
    sha = await checkout.commit("x")
    assert sha
    assert await checkout.diff(sha) == DiffStat(1, 1, 2)
    path = await checkout.fresh("gate", sha)
    (path / "sub").rmdir()
    (checkout.work / "sub").rename(path / "sub")
    await checkout.reset(path, sha)
    await checkout.restore_from_base(path, ["*"])
    assert not found(tmp_path, "*.ran")
    assert git(path, "rev-parse", "HEAD:sub") == pinned


@pytest.mark.parametrize("born", [True, False])
async def test_a_repository_inside_the_tree_is_refused_by_name(checkout: Checkout, born: bool) -> None:
    inner = checkout.work / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    if born:
        commit(inner, {"x": "x"})
    with pytest.raises(GitFailed, match="inner"):
        await checkout.commit("x")
    shutil.rmtree(inner / ".git")
    (inner / "x").write_text("x")
    assert await checkout.commit("x")


@pytest.mark.parametrize("name", ["work", "work/.git"])
async def test_a_link_in_place_of_the_tree_is_refused(checkout: Checkout, tmp_path: Path, name: str) -> None:
    place = checkout.directory / name
    place.rename(tmp_path / "moved")
    place.symlink_to(tmp_path / "moved")
    with pytest.raises(GitFailed, match="symbolic link"):
        await checkout.commit("x")


async def test_a_gate_sees_exactly_the_commit(checkout: Checkout) -> None:
    write(checkout.work, {"a.txt": "changed\n", "x.tmp": "ignored", ".git/info/exclude": "*\n"})
    sha = await checkout.commit("x")
    assert sha
    write(checkout.work, {"late.txt": "after the commit"})
    path = await checkout.fresh("tests / unit", sha)
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
    path = await checkout.fresh("gate", sha)
    write(path, {"a.txt": "by the gate\n", "junk/x": "", "venv/lib": "kept", ".git/config": "[core]\nbare = maybe"})
    git(tmp_path, "init", "-q", str(path / "nested"))
    shutil.rmtree(path / "b")
    (path / "b").symlink_to(tmp_path)
    await checkout.reset(path, sha)
    assert (path / "a.txt").read_text() == "changed\n"
    assert (path / "b/c.txt").read_text() == "c\n"
    assert (path / "venv/lib").read_text() == "kept"
    assert not (path / "junk").exists()
    assert not (path / "nested").exists()
    assert not (tmp_path / "c.txt").exists()
    assert git(path, "status", "--porcelain") == ""


async def test_named_files_are_as_the_base_has_them(checkout: Checkout) -> None:
    changed = {"a.txt": "x\n", "b/c.txt": "x\n", "b/[id].txt": "x\n", "tests/deep/new.py": "x\n", "tests/t.py": "x\n"}
    write(checkout.work, changed)
    sha = await checkout.commit("x")
    assert sha
    path = await checkout.fresh("gate", sha)
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
    path = await checkout.fresh("gate", sha)
    await checkout.restore_from_base(path, ["b/c.txt", "b/new.txt", "a.txt"])
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"c.txt": "outside\n", "new.txt": "outside\n"}
    assert (path / "b/c.txt").read_text() == "c\n"
    assert (path / "a.txt").read_text() == "one\ntwo\n"
    assert not (path / "a.txt").is_symlink()
    with pytest.raises(GitFailed, match="outside repository"):
        await checkout.restore_from_base(path, ["../work/a.txt"])


@pytest.mark.parametrize("bare", [True, False])
async def test_the_commit_and_no_other_is_published(
    checkout: Checkout, origin: Path, tmp_path: Path, bare: bool
) -> None:
    target = tmp_path / "target"
    git(tmp_path, "clone", "-q", *(["--bare"] if bare else []), str(origin), str(target))
    refs = git(target, "for-each-ref")
    for text in ("1\n", "2\n"):
        write(checkout.work, {"a.txt": text})
        sha = await checkout.commit("x")
        assert sha
        await checkout.publish(sha, str(target), BRANCH)
        assert git(target, "rev-parse", BRANCH) == sha
    git(target, "update-ref", "-d", f"refs/heads/{BRANCH}")
    assert git(target, "for-each-ref") == refs
    git(target, "fsck", "--strict")


async def test_publishing_goes_to_paths_only(checkout: Checkout) -> None:
    with pytest.raises(GitFailed, match="not allowed"):
        await checkout.publish(str(checkout.base), "https://127.0.0.1:9/x.git", BRANCH)


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
