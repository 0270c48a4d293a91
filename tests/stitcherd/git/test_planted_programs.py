"""Tests that our git runs no program that an agent plants."""

import shutil
from pathlib import Path

from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.commit import diff_stat
from stitcherd.git.publish import publish
from stitcherd.git.remote import Remote
from stitcherd.git.tree_changes import DiffStat
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import BRANCH, commit, find, git, marking_program, write


async def test_no_planted_program_is_run(checkout: Checkout, origin: Path, tmp_path: Path) -> None:
    program = marking_program(tmp_path / "evil")
    for name in ("core.fsmonitor", "core.hooksPath", "filter.x.clean", "filter.x.smudge", "diff.x.textconv"):
        git(checkout.work, "config", name, str(tmp_path) if name == "core.hooksPath" else program)
    git(checkout.work, "config", "diff.external", program)
    for hook in ("pre-commit", "post-checkout", "pre-push", "post-index-change", "reference-transaction"):
        shutil.copy(program, tmp_path / hook)
    shutil.copytree(checkout.work / ".git", checkout.directory / "stitcher.git", dirs_exist_ok=True)
    write(checkout.work, {".gitattributes": "* filter=x diff=x\n", "a.txt": "changed\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    await diff_stat(checkout, sha)
    path = await checkout.check_out("gate", sha)
    await checkout.restore_from_base(path, ["a.txt"])
    await checkout.reset(path, sha)
    await publish(checkout, sha, Remote(checkout.git, str(origin)), BRANCH)
    assert not find(tmp_path, "*.ran")


async def test_git_is_not_run_inside_a_submodule(checkouts: Checkouts, origin: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q", "-b", "main")
    pinned = commit(inner, {"x": "x"})
    git(origin, "submodule", "--quiet", "add", str(inner), "sub")
    base = commit(origin, {})
    await checkouts.mirror(str(origin)).fetch()
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    git(checkout.work, "clone", "-q", str(inner), "sub")
    program = marking_program(tmp_path / "evil")
    git(checkout.work / "sub", "config", "core.fsmonitor", program)
    git(checkout.work / "sub", "config", "filter.x.clean", program)
    write(checkout.work, {"a.txt": "changed\n", "sub/x": "y", "sub/.gitattributes": "* filter=x\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    assert await diff_stat(checkout, sha) == DiffStat(1, 1, 2)
    path = await checkout.check_out("gate", sha)
    (path / "sub").rmdir()
    (checkout.work / "sub").rename(path / "sub")
    await checkout.reset(path, sha)
    await checkout.restore_from_base(path, ["*"])
    assert not find(tmp_path, "*.ran")
    assert git(path, "rev-parse", "HEAD:sub") == pinned
