"""Fixtures for the tests of gates: a checkout of a new repository, and files to write into it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from stitcherd.git.checkout import Checkout, Checkouts

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
Files = Mapping[str, bytes | str | None]


class Write(Protocol):
    def __call__(self, root: Path, files: Files) -> None: ...


class Start(Protocol):
    async def __call__(self, files: Files, /, place: Path | None = None) -> Checkout: ...


def git(path: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=path, env=ENV, capture_output=True, check=True).stdout.decode().strip()


def write_files(root: Path, files: Files) -> None:
    """Write files; None deletes one, and text that starts with `-> ` is the target of a symbolic link."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(content, str) and content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        elif content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def write() -> Write:
    return write_files


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Return a function that opens a checkout of a new repository with these files, below `place`."""

    async def open_checkout(files: Files, /, place: Path | None = None) -> Checkout:
        origin = (place or tmp_path) / "origin"
        origin.mkdir()
        git(origin, "init", "-q", "-b", "main")
        write_files(origin, files)
        git(origin, "add", "-A")
        git(origin, "commit", "-q", "--allow-empty", "-m", "x")
        checkouts = Checkouts(origin.parent / "state")
        await checkouts.mirror(str(origin)).fetch()
        base = await checkouts.mirror(str(origin)).resolve("main")
        return await checkouts.open("job", 1, str(origin), base, "stitcher/0123456789ab")

    return open_checkout


async def start_from_change(checkout: Checkout, files: Files) -> Checkout:
    """Open a checkout of a change on the base of another checkout, whose head has these files besides."""
    assert checkout.mirror is not None
    origin, base = Path(checkout.mirror.clone), str(checkout.base)
    write_files(origin, files)
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "by the author of the change")
    git(origin, "update-ref", "refs/pull/7/head", "HEAD")
    git(origin, "reset", "-q", "--hard", base)
    checkouts = Checkouts(origin.parent / "state")
    head = await checkouts.mirror(str(origin)).fetch_ref("refs/pull/7/head")
    return await checkouts.open("other", 1, str(origin), head, "stitcher/ba9876543210", gate_base=base)
