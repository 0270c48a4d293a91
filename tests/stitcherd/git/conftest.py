"""Fixtures for the tests of git: a repository, and the checkout of a job."""

from pathlib import Path

import pytest

from stitcherd.git.checkout import Checkout, Checkouts
from tests.stitcherd.git.repositories import BRANCH, commit, git


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
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    return await checkouts.open("job", 1, str(origin), base, BRANCH)
