"""The tree of the gates: what one of them leaves, the next one does not find."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git import snapshot
from stitcherd.git.checkout import Checkout
from stitcherd.git.gate_checkout import GateCheckout
from tests.stitcherd.git.repositories import git, write

MADE = {"venv/bin/lint": "lint\n", "venv/lib/deep/a.py": "a\n", "x.tmp": "x\n"}  # by `prepare`, and all ignored


async def tree_of(checkout: Checkout, *, prepared: bool) -> GateCheckout:
    write(checkout.work, {"a.txt": "changed\n"})
    sha = await checkout.commit("x")
    assert sha
    tree = await GateCheckout.create(checkout, "gates", sha)
    if prepared:
        write(tree.path, {**MADE, "a.txt": "by prepare\n", "new.txt": "by prepare\n"})
        (tree.path / "venv/bin/lint").chmod(0o755)
        (tree.path / "venv/bin/python").symlink_to("/usr/bin/python3")
        (tree.path / "venv/empty").mkdir()
        os.mkfifo(tree.path / "venv/pipe")
        await tree.keep_prepared(several=True)
    await tree.renew()
    return tree


def everything(path: Path) -> dict[str, tuple[int, bytes]]:
    """What a gate could find: names, kinds and modes, contents; of `.git` what git says."""
    found = {}
    for file in sorted(path.rglob("*")):
        if ".git" in file.relative_to(path).parts:
            continue
        held = bytes(file.readlink()) if file.is_symlink() else file.read_bytes() if file.is_file() else b""
        found[str(file.relative_to(path))] = (file.lstat().st_mode, held)
    found["git"] = (0, git(path, "log", "--format=%H").encode() + git(path, "status", "--porcelain").encode())
    return found


def change(path: Path) -> None:
    """As sly as can be: the same size, and the time put back."""
    lint = path / "venv/bin/lint"
    before = lint.stat()
    lint.write_text("evil\n")
    os.utime(lint, ns=(before.st_atime_ns, before.st_mtime_ns))


def plant(path: Path) -> None:
    write(path, {"venv/lib/sitecustomize.py": "evil", "node.tmp": "evil", "__pycache__/conftest.pyc": "evil"})


def plant_for_git(path: Path) -> None:
    write(path, {".gitignore": "*\n", ".git/info/exclude": "*\n", ".git/config": "[core\n", "conftest.py": "evil"})


def swap(path: Path) -> None:
    write(path, {"venv/lib/deep2/a.py": "evil"})
    (path / "venv/lib/deep").rename(path / "venv/lib/old")
    (path / "venv/lib/deep2").rename(path / "venv/lib/deep")


def exchange(path: Path) -> None:
    (path / "venv/bin/lint").rename(path / "venv/lib/was")
    (path / "venv/lib/deep/a.py").rename(path / "venv/bin/lint")
    (path / "venv/lib/was").rename(path / "venv/lib/deep/a.py")


def lead_out(path: Path) -> None:
    shutil.rmtree(path / "venv/lib")
    (path / "venv/lib").symlink_to(path.parent / "outside")
    (path / "venv/bin/lint").unlink()
    (path / "venv/bin/lint").symlink_to(path.parent / "outside/file")


def turn(path: Path) -> None:
    (path / "venv/bin/lint").unlink()
    (path / "venv/bin/lint").mkdir()
    shutil.rmtree(path / "venv/lib")
    (path / "venv/lib").touch()
    (path / "venv/bin/python").unlink()
    (path / "venv/pipe").unlink()


def open_up(path: Path) -> None:
    for name in ("venv", "venv/bin/lint", "venv/empty"):
        (path / name).chmod(0o777)


def close_up(path: Path) -> None:
    write(path, {"venv/closed/x": "x"})
    (path / "venv/closed").chmod(0o500)
    (path / "venv/bin").chmod(0)


def dig(path: Path) -> None:
    code = "import os\nfor _ in range(1200): os.mkdir('dddd'); os.chdir('dddd')"
    subprocess.run([sys.executable, "-c", code], cwd=path / "venv", check=True)


def lead_away(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.parent / "outside")


PREPARED = [
    *(change, plant, plant_for_git, swap, exchange, lead_out, turn, open_up, close_up, dig, lead_away),
]


@pytest.mark.parametrize("trick", PREPARED)
async def test_a_gate_finds_what_prepare_left(checkout: Checkout, trick: Callable[[Path], None]) -> None:
    write(checkout.directory, {"outside/file": "outside\n"})
    tree = await tree_of(checkout, prepared=True)
    before = everything(tree.path)
    assert before["venv/bin/lint"][1] == b"lint\n"
    for _ in range(2):
        trick(tree.path)
        await tree.renew()
        assert everything(tree.path) == before
    assert {file.name for file in (checkout.directory / "outside").iterdir()} == {"file"}
    await tree.close()
    assert not list(checkout.directory.glob("kept-*"))


def plant_ignored(path: Path) -> None:
    write(path, {"venv/lib/sitecustomize.py": "evil", "node.tmp": "evil", "tests/x.tmp": "evil"})


def close_ignored(path: Path) -> None:
    write(path, {"venv/closed/x": "x"})
    (path / "venv/closed").chmod(0o500)


@pytest.mark.parametrize("trick", [plant_ignored, plant_for_git, close_ignored])
async def test_without_prepare_nothing_ignored_stays(checkout: Checkout, trick: Callable[[Path], None]) -> None:
    tree = await tree_of(checkout, prepared=False)
    before = everything(tree.path)
    for _ in range(2):
        trick(tree.path)
        await tree.renew()
        assert everything(tree.path) == before
    assert not list(checkout.directory.glob("kept-*"))


async def test_what_is_the_same_is_not_copied_again(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    write(tree, {f"{name}/{name}": name for name in "abc"})
    # What is younger than a tick of the clock could change without a trace, and is copied whatever happens.
    youngest = max(file.stat().st_ctime_ns for file in tree.rglob("*"))
    while time.clock_gettime_ns(snapshot.CTIME_CLOCK) <= youngest:  # noqa: ASYNC110 (nobody tells of a tick)
        await asyncio.sleep(0.001)
    held = snapshot.DirectorySnapshot(tree, tmp_path / "copy")
    await held.take()
    before = (tree / "a/a").stat().st_ctime_ns
    (tree / "b/b").write_text("evil")
    (tree / "c/c").rename(tree / "c/d")
    await held.restore()
    assert (tree / "a/a").stat().st_ctime_ns == before
    assert {name: (tree / name / name).read_text() for name in "abc"} == {"a": "a", "b": "b", "c": "c"}
    assert not (tree / "c/d").exists()


async def test_what_cannot_be_kept_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot be copied: cp: .*No such file"):
        await snapshot.DirectorySnapshot(tmp_path / "gone", tmp_path / "copy").take()
