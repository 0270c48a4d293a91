"""Tests that a commit holds what the agent changed, not what was there before it nor what git converts."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git.baseline import BASELINE_FILE
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree, record_baseline
from tests.stitcherd.git.repositories import BRANCH, commit, git, write

IGNORE = "*.tmp\nvenv/\n"  # as in the base


async def open_prepared(
    checkouts: Checkouts, origin: Path, prepare: Callable[[Path], None] = lambda _work: None, *, prepared: bool = True
) -> Checkout:
    await checkouts.mirror(str(origin)).fetch()
    checkout = await checkouts.open("job", 1, str(origin), git(origin, "rev-parse", "main"), BRANCH)
    prepare(checkout.work)
    await record_baseline(checkout, prepared=prepared)
    return checkout


async def committed(checkout: Checkout) -> dict[str, str]:
    """Commit the work tree, and return what changed: the names, each with its status."""
    sha = await commit_work_tree(checkout, "x")
    if sha is None:
        return {}
    raw = await checkout.run_git("diff-tree", "-r", "--no-renames", "--name-status", "-z", str(checkout.base), sha)
    fields = iter(raw.decode().split("\0")[:-1])
    return {name: status for status, name in zip(fields, fields, strict=True)}


def prepare(work: Path) -> None:
    write(work, {"lock.json": "{}\n", "dist/a.js": "a\n", "dist/b.js": "b\n", "venv/lib": "v\n", "a.txt": "prepared\n"})
    (work / "b/c.txt").unlink()
    (work / "tests/t.py").chmod(0o755)


async def test_what_was_prepared_is_in_no_commit(checkouts: Checkouts, origin: Path) -> None:
    checkout = await open_prepared(checkouts, origin, prepare)
    assert await committed(checkout) == {}
    write(checkout.work, {"made": "x\n"})
    assert await committed(checkout) == {"made": "A"}
    assert await committed(checkout) == {"made": "A"}, "a further try has the same baseline"


async def test_what_the_agent_does_to_what_was_prepared_is_its_change(checkouts: Checkouts, origin: Path) -> None:
    checkout = await open_prepared(checkouts, origin, prepare)
    write(checkout.work, {"lock.json": '{"a": 1}\n', "a.txt": "by the agent\n", "b/c.txt": "again\n"})
    (checkout.work / "dist/a.js").unlink()
    (checkout.work / "tests/t.py").unlink()
    assert await committed(checkout) == {"lock.json": "A", "a.txt": "M", "b/c.txt": "M", "tests/t.py": "D"}


async def test_what_the_agent_only_rewrites_is_no_change(checkouts: Checkouts, origin: Path) -> None:
    checkout = await open_prepared(checkouts, origin, prepare)
    for name in ("lock.json", "dist/a.js", "a.txt"):
        (checkout.work / name).write_bytes((checkout.work / name).read_bytes())
    git(checkout.work, "stash", "-u")
    git(checkout.work, "stash", "pop")
    assert await committed(checkout) == {}


async def test_a_file_that_became_a_directory_and_the_other_way_round(checkouts: Checkouts, origin: Path) -> None:
    def swap(work: Path) -> None:
        (work / "a.txt").unlink()
        write(work, {"a.txt/x": "x\n"})
        shutil.rmtree(work / "b")
        write(work, {"b": "b\n"})

    checkout = await open_prepared(checkouts, origin, swap)
    assert await committed(checkout) == {}
    write(checkout.work, {"a.txt/y": "y\n", "b": "by the agent\n"})
    assert await committed(checkout) == {"a.txt": "D", "a.txt/y": "A", "b/c.txt": "D", "b": "A"}


async def test_what_was_ignored_stays_out_when_the_agent_changes_what_is_ignored(
    checkouts: Checkouts, origin: Path
) -> None:
    def install(work: Path) -> None:
        write(work, {"venv/lib/deep/a.py": "a\n", "venv/lib/b.py": "b\n", "x.tmp": "x\n", "b/y.tmp": "y\n"})

    checkout = await open_prepared(checkouts, origin, install)
    write(checkout.work, {".gitignore": "nothing\n", "venv/lib/b.py": "by the agent\n", "venv/lib/new.py": "new\n"})
    assert await committed(checkout) == {".gitignore": "M", "venv/lib/b.py": "A", "venv/lib/new.py": "A"}
    (checkout.work / "venv").rename(checkout.work / "vendor")
    found = await committed(checkout)
    assert {"vendor/lib/deep/a.py", "vendor/lib/b.py"} <= found.keys(), "moved by the agent"
    assert not {"x.tmp", "b/y.tmp"} & found.keys()


async def test_a_repository_that_was_prepared_is_in_no_commit(checkouts: Checkouts, origin: Path) -> None:
    def clone(work: Path) -> None:
        git(work, "clone", "-q", str(origin), "vendor")

    checkout = await open_prepared(checkouts, origin, clone)
    write(checkout.work, {"made": "x\n"})
    assert await committed(checkout) == {"made": "A"}
    git(checkout.work / "vendor", "checkout", "-q", "--orphan", "other")
    commit(checkout.work / "vendor", {"x": "x"})
    with pytest.raises(GitError, match="vendor"):
        await commit_work_tree(checkout, "x")


async def test_another_daemon_finds_the_baseline(checkouts: Checkouts, origin: Path, tmp_path: Path) -> None:
    checkout = await open_prepared(checkouts, origin, prepare)
    write(checkout.work, {"made": "x\n"})
    again = Checkouts(tmp_path / "state").reopen("job", 1, str(origin), checkout.base)
    assert again.baseline == checkout.baseline
    assert await committed(again) == {"made": "A"}
    (checkout.directory / BASELINE_FILE).write_bytes(b"x")
    with pytest.raises(GitError, match="damaged"):
        Checkouts(tmp_path / "state").reopen("job", 1, str(origin), checkout.base)
    (checkout.directory / BASELINE_FILE).unlink()
    os.mkfifo(checkout.directory / BASELINE_FILE)
    with pytest.raises(GitError, match="not a regular file"):
        Checkouts(tmp_path / "state").reopen("job", 1, str(origin), checkout.base)


def commit_blob(origin: Path, name: str, content: bytes) -> None:
    """Commit content that no filter has seen."""
    done = subprocess.run(
        ["git", "hash-object", "-w", "--no-filters", "--stdin"],
        cwd=origin,
        input=content,
        capture_output=True,
        check=True,
    )
    git(origin, "update-index", "--add", "--cacheinfo", f"100644,{done.stdout.decode().strip()},{name}")
    git(origin, "commit", "-q", "-m", "x")


@pytest.mark.parametrize(
    ("line", "content"),
    [
        ("* text", b"one\r\ntwo\r\n"),
        ("* text=auto", b"one\r\ntwo\r\n"),
        ("* ident", b"$Id: old$\n"),
        ("*.yml text eol=crlf", b"one\r\ntwo\r\n"),
    ],
)
@pytest.mark.parametrize("place", [".gitattributes", "ci/.gitattributes"])
async def test_what_git_converts_is_no_change(
    checkouts: Checkouts, origin: Path, place: str, line: str, content: bytes
) -> None:
    commit(origin, {place: f"{line}\n"})
    commit_blob(origin, "ci/x.yml", content)
    checkout = await open_prepared(checkouts, origin, prepared=False)
    assert await committed(checkout) == {}
    write(checkout.work, {"made": "x\n"})
    assert await committed(checkout) == {"made": "A"}
    with (checkout.work / "ci/x.yml").open("ab") as file:
        file.write(b"by the agent\n")
    assert await committed(checkout) == {"made": "A", "ci/x.yml": "M"}


async def test_a_baseline_is_recorded_only_where_it_can_differ(checkout: Checkout) -> None:
    await record_baseline(checkout, prepared=False)
    assert not (checkout.directory / BASELINE_FILE).exists()
    write(checkout.work, {"made": "x\n"})
    assert await committed(checkout) == {"made": "A"}
