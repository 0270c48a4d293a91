"""Tests the checkout that several gates use: what one of them leaves, the next one does not find."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stitcherd.git.checkout import Checkout
from stitcherd.git.gate_checkout import GateCheckout
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.repositories import git, write

PREPARED_FILES = {"venv/bin/lint": "lint\n", "venv/lib/deep/a.py": "a\n", "x.tmp": "x\n"}  # all ignored


async def make_gate_checkout(checkout: Checkout, *, prepared: bool) -> GateCheckout:
    write(checkout.work, {"a.txt": "changed\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    tree = await GateCheckout.create(checkout, "gates", sha)
    if prepared:
        write(tree.path, {**PREPARED_FILES, "a.txt": "by prepare\n", "new.txt": "by prepare\n"})
        (tree.path / "venv/bin/lint").chmod(0o755)
        (tree.path / "venv/bin/python").symlink_to("/usr/bin/python3")
        (tree.path / "venv/empty").mkdir()
        os.mkfifo(tree.path / "venv/pipe")
        await tree.keep_prepared(several=True)
    await tree.renew()
    return tree


def contents(path: Path) -> dict[str, tuple[int, bytes]]:
    """Return what a gate could find: names, types, modes and contents, and what git reports."""
    found = {}
    for file in sorted(path.rglob("*")):
        if ".git" in file.relative_to(path).parts:
            continue
        held = bytes(file.readlink()) if file.is_symlink() else file.read_bytes() if file.is_file() else b""
        found[str(file.relative_to(path))] = (file.lstat().st_mode, held)
    found["git"] = (0, git(path, "log", "--format=%H").encode() + git(path, "status", "--porcelain").encode())
    return found


def change_content(path: Path) -> None:
    """Change a file without changing its size and its modification time."""
    lint = path / "venv/bin/lint"
    before = lint.stat()
    lint.write_text("evil\n")
    os.utime(lint, ns=(before.st_atime_ns, before.st_mtime_ns))


def plant(path: Path) -> None:
    write(path, {"venv/lib/sitecustomize.py": "evil", "node.tmp": "evil", "__pycache__/conftest.pyc": "evil"})


def plant_for_git(path: Path) -> None:
    write(path, {".gitignore": "*\n", ".git/info/exclude": "*\n", ".git/config": "[core\n", "conftest.py": "evil"})


def swap_directories(path: Path) -> None:
    write(path, {"venv/lib/deep2/a.py": "evil"})
    (path / "venv/lib/deep").rename(path / "venv/lib/old")
    (path / "venv/lib/deep2").rename(path / "venv/lib/deep")


def swap_files(path: Path) -> None:
    (path / "venv/bin/lint").rename(path / "venv/lib/was")
    (path / "venv/lib/deep/a.py").rename(path / "venv/bin/lint")
    (path / "venv/lib/was").rename(path / "venv/lib/deep/a.py")


def link_files_outside(path: Path) -> None:
    shutil.rmtree(path / "venv/lib")
    (path / "venv/lib").symlink_to(path.parent / "outside")
    (path / "venv/bin/lint").unlink()
    (path / "venv/bin/lint").symlink_to(path.parent / "outside/file")


def change_types(path: Path) -> None:
    (path / "venv/bin/lint").unlink()
    (path / "venv/bin/lint").mkdir()
    shutil.rmtree(path / "venv/lib")
    (path / "venv/lib").touch()
    (path / "venv/bin/python").unlink()
    (path / "venv/pipe").unlink()


def add_permissions(path: Path) -> None:
    for name in ("venv", "venv/bin/lint", "venv/empty"):
        (path / name).chmod(0o777)


def remove_permissions(path: Path) -> None:
    write(path, {"venv/closed/x": "x"})
    (path / "venv/closed").chmod(0o500)
    (path / "venv/bin").chmod(0)


def nest_deeply(path: Path) -> None:
    code = "import os\nfor _ in range(1200): os.mkdir('dddd'); os.chdir('dddd')"
    subprocess.run([sys.executable, "-c", code], cwd=path / "venv", check=True)


def link_tree_outside(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to(path.parent / "outside")


TRICKS = [
    *(change_content, plant, plant_for_git, swap_directories, swap_files, link_files_outside, change_types),
    *(add_permissions, remove_permissions, nest_deeply, link_tree_outside),
]


@pytest.mark.parametrize("trick", TRICKS)
async def test_each_gate_finds_what_preparation_left(checkout: Checkout, trick: Callable[[Path], None]) -> None:
    write(checkout.directory, {"outside/file": "outside\n"})
    tree = await make_gate_checkout(checkout, prepared=True)
    before = contents(tree.path)
    assert before["venv/bin/lint"][1] == b"lint\n"
    for _ in range(2):
        trick(tree.path)
        await tree.renew()
        assert contents(tree.path) == before
    assert {file.name for file in (checkout.directory / "outside").iterdir()} == {"file"}
    await tree.close()
    assert not list(checkout.directory.glob("kept-*"))


def plant_ignored(path: Path) -> None:
    write(path, {"venv/lib/sitecustomize.py": "evil", "node.tmp": "evil", "tests/x.tmp": "evil"})


def close_ignored(path: Path) -> None:
    write(path, {"venv/closed/x": "x"})
    (path / "venv/closed").chmod(0o500)


@pytest.mark.parametrize("trick", [plant_ignored, plant_for_git, close_ignored])
async def test_without_preparation_ignored_files_are_removed(checkout: Checkout, trick: Callable[[Path], None]) -> None:
    tree = await make_gate_checkout(checkout, prepared=False)
    before = contents(tree.path)
    for _ in range(2):
        trick(tree.path)
        await tree.renew()
        assert contents(tree.path) == before
    assert not list(checkout.directory.glob("kept-*"))
