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


def put(root: Path, files: Files) -> None:
    """Write files; None deletes one, and text that begins with `-> ` is the target of a link."""
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
    return put


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Open a checkout of a new repository that holds some files, below `place`."""

    async def make(files: Files, /, place: Path | None = None) -> Checkout:
        origin = (place or tmp_path) / "origin"
        origin.mkdir()
        git(origin, "init", "-q", "-b", "main")
        put(origin, files)
        git(origin, "add", "-A")
        git(origin, "commit", "-q", "--allow-empty", "-m", "x")
        checkouts = Checkouts(origin.parent / "state")
        await checkouts.fetch(str(origin))
        base = await checkouts.pin(str(origin), "main")
        return await checkouts.open("job", 1, str(origin), base, "stitcher/0123456789ab")

    return make
