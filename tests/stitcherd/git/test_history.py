"""Tests questions about commits: no is answered only where all that it is about can be read."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stitcherd.git import Git, GitFailed
from stitcherd.git.checkout import Checkouts
from stitcherd.git.history import History
from tests.stitcherd.git.repositories import commit, git


@pytest.fixture
def history(origin: Path, tmp_path: Path) -> History:
    return History(Git.with_home(tmp_path / "home"), origin / ".git")


def loose_object(repository: Path, sha: str) -> Path:
    return repository / ".git" / "objects" / sha[:2] / sha[2:]


async def test_how_commits_are_related(checkouts: Checkouts, origin: Path) -> None:
    first = git(origin, "rev-parse", "main")
    git(origin, "switch", "-q", "-c", "topic")
    second = commit(origin, {"a.txt": "new\n"})
    git(origin, "switch", "-q", "main")
    third = commit(origin, {"b.txt": "new\n"})
    git(origin, "switch", "-q", "--orphan", "other")
    alone = commit(origin, {"c.txt": "new\n"})
    mirror = checkouts.mirror(str(origin))
    await mirror.fetch()
    history = mirror.history
    assert [await history.merge_base(third, each) for each in (second, third, alone)] == [first, third, None]
    assert [await history.is_ancestor(first, each) for each in (first, second, third)] == [True] * 3
    assert [await history.is_ancestor(each, second) for each in (third, alone, "0" * 40)] == [False] * 3
    assert await history.refs_with(second) == ["refs/heads/topic"]
    assert await history.refs_with(first) == ["refs/heads/main", "refs/heads/topic", "refs/tags/v1"]
    assert [await history.find_commit(each) for each in ("refs/tags/v1", "refs/tags/v2", "0" * 40)] == [
        first,
        None,
        None,
    ]
    assert [await mirror.contains(each, first) for each in ("topic", "other", "gone")] == [True, False, False]


@pytest.mark.parametrize("damage", ["missing", "overwritten"])
@pytest.mark.parametrize("at", ["the first", "one between", "the last"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda history, first, last: history.is_ancestor(first, last),
        lambda history, first, last: history.merge_base(first, last),
        lambda history, first, _: history.refs_with(first),
        lambda history, first, _: history.find_commit(first),
    ],
    ids=["is_ancestor", "merge_base", "refs_with", "find_commit"],
)
async def test_what_cannot_be_read_is_no_answer(
    origin: Path, history: History, damage: str, at: str, ask: Callable[[History, str, str], Awaitable[object]]
) -> None:
    shas = [commit(origin, {"a.txt": f"{number}\n"}) for number in range(3)]
    git(origin, "tag", "-d", "v1")
    asked = ask(history, shas[0], shas[2])
    path = loose_object(origin, shas[("the first", "one between", "the last").index(at)])
    path.chmod(0o644)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"x" * 40)
    try:
        answer = await asked
    except GitFailed:
        return
    assert answer == shas[0], "what it is about could be read"


async def test_a_git_that_cannot_start_is_no_answer(
    origin: Path, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = git(origin, "rev-parse", "main")
    last = commit(origin, {"a.txt": "new\n"})
    monkeypatch.setenv("PATH", "/nonexistent")
    for asked in (history.is_ancestor(last, first), history.merge_base(last, first)):
        with pytest.raises(GitFailed) as told:
            await asked
        assert told.value.code is None
