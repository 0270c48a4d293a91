"""The commit that a job starts from, and the one that its gates take files from."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.models import RunnerJob, Start, Thread
from stitcherd.config.settings import RepositorySettings
from stitcherd.git import GitError
from stitcherd.git.checkout import Checkouts
from stitcherd.git.history import History
from stitcherd.git.mirror import Mirror
from stitcherd.jobs.job_start import (
    HEAD_POLL_SECONDS,
    HEAD_WAIT_SECONDS,
    HeadMoved,
    ask_no_forge,
    check_head,
    describe_start,
    find_start,
)
from tests.shared.test_models import JOB
from tests.stitcherd.git.repositories import commit, git

REF = "refs/merge-requests/7/head"
ON_CHANGE = replace(JOB, ref=REF, target="main", thread=Thread("change", 7))
REPOSITORY = RepositorySettings.model_construct(pattern="acme/roof", clone="/srv/roof.git")


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    path = tmp_path / "origin"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    commit(path, {"a.txt": "one\n"})
    return path


@pytest.fixture
async def mirror(tmp_path: Path, origin: Path) -> Mirror:
    checkouts = Checkouts(tmp_path / "state")
    await checkouts.mirror(str(origin)).fetch()
    return checkouts.mirror(str(origin))


def set_ref(origin: Path, ref: str, text: str, parent: str = "main") -> str:
    git(origin, "switch", "-q", "--detach", parent)
    sha = commit(origin, {"a.txt": text})
    git(origin, "update-ref", ref, sha)
    git(origin, "switch", "-q", "main")
    return sha


async def find(job: RunnerJob, mirror: Mirror) -> Start:
    await mirror.fetch()
    return await find_start(job, REPOSITORY, mirror)


async def test_a_branch_a_tag_and_a_commit_of_them_are_their_own_gate_base(origin: Path, mirror: Mirror) -> None:
    sha = git(origin, "rev-parse", "main")
    git(origin, "tag", "v1")
    for ref in (None, "main", "v1", "refs/heads/main", sha):
        start = await find(replace(JOB, ref=ref), mirror)
        assert start == Start(ref or "main", sha, sha)
        assert describe_start(JOB, start, mirror.clone) == f"base {sha} of {ref or 'main'}\n"


async def test_the_gate_base_is_where_the_change_left_its_target(origin: Path, mirror: Mirror) -> None:
    base = git(origin, "rev-parse", "main")
    head = set_ref(origin, REF, "theirs\n")
    release = set_ref(origin, "refs/heads/release", "release\n")
    commit(origin, {"b.txt": "later\n"})
    start = await find(ON_CHANGE, mirror)
    assert start == Start(REF, head, base)
    assert describe_start(ON_CHANGE, start, mirror.clone) == (
        f"base {head} of {REF}\nfiles that decide gates: those of {base}\n"
    )
    newer = set_ref(origin, REF, "theirs\n", release)
    assert await find(replace(ON_CHANGE, target="release"), mirror) == Start(REF, newer, release)
    assert await find(ON_CHANGE, mirror) == Start(REF, newer, base)
    assert await find(replace(ON_CHANGE, target="stitcher/0123456789ab"), mirror) == Start(REF, newer, base)


async def test_a_history_of_its_own_is_judged_by_the_target(origin: Path, mirror: Mirror) -> None:
    base = git(origin, "rev-parse", "main")
    git(origin, "switch", "-q", "--orphan", "other")
    alone = commit(origin, {"c.txt": "x\n"})
    git(origin, "update-ref", REF, alone)
    git(origin, "switch", "-q", "main")
    git(origin, "branch", "-D", "other")
    assert await find(ON_CHANGE, mirror) == Start(REF, alone, base)


async def test_the_head_is_pinned(origin: Path, mirror: Mirror) -> None:
    base = git(origin, "rev-parse", "main")
    first = set_ref(origin, REF, "first\n")
    second = set_ref(origin, REF, "second\n", first)
    assert (await find(ON_CHANGE, mirror)).sha == second
    assert (await find(replace(ON_CHANGE, head_sha=first), mirror)).sha == first
    begun = replace(ON_CHANGE, head_sha=second, start=Start(REF, first, base))
    assert (await find(begun, mirror)).sha == first, "an earlier attempt counts more than the delivery"
    without_ref = replace(ON_CHANGE, head_sha=second, start=Start("main", base, base))
    assert (await find(without_ref, mirror)).sha == second, "the earlier attempt did not have the ref"


async def test_a_pinned_head_that_is_gone_starts_nothing(origin: Path, mirror: Mirror) -> None:
    first, second = set_ref(origin, REF, "first\n"), set_ref(origin, REF, "second\n")
    for pinned in (first, "0" * 40):
        with pytest.raises(HeadMoved, match=f"is at {second}, and does not contain {pinned}"):
            await find(replace(ON_CHANGE, head_sha=pinned), mirror)


async def test_without_the_ref_it_starts_from_the_target(origin: Path, mirror: Mirror) -> None:
    release = set_ref(origin, "refs/heads/release", "release\n")
    job = replace(ON_CHANGE, target="release", head_sha="0" * 40)
    start = await find(job, mirror)
    assert start == Start("release", release, release)
    missing = "the commits of change #7 are not in this checkout"
    assert describe_start(job, start, "R").splitlines()[-1] == f"{missing}: R has no ref {REF}"
    elsewhere = replace(job, ref="release", target=None)
    assert describe_start(elsewhere, start, "R").splitlines()[-1] == f"{missing}: its source has no ref of them"
    with pytest.raises(GitError, match=f"There is no ref '{REF}' in "):
        await find(replace(job, thread=None), mirror)


async def test_what_no_person_accepted_is_not_its_own_gate_base(origin: Path, mirror: Mirror) -> None:
    base = git(origin, "rev-parse", "main")
    ours = set_ref(origin, "refs/heads/stitcher/0123456789ab", "agent\n")
    head = set_ref(origin, REF, "theirs\n")
    await find(ON_CHANGE, mirror)
    for ref, sha in (
        ("stitcher/0123456789ab", ours),
        ("refs/heads/stitcher/0123456789ab", ours),
        (ours, ours),
        (head, head),
        (REF, head),
    ):
        assert await find(replace(JOB, ref=ref), mirror) == Start(ref, sha, base)


class Sleeps(list[float]):
    """Notes how long is slept, and moves the ref of the change to `then` meanwhile."""

    def __init__(self, origin: Path, then: str | None = None) -> None:
        self._origin = origin
        self._then = then

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if self._then is not None:
            git(self._origin, "update-ref", REF, self._then)


async def test_a_head_that_a_forge_does_not_show_yet_is_looked_up_again(origin: Path, mirror: Mirror) -> None:
    remote = RepositorySettings.model_construct(pattern="acme/roof", clone="https://forge.example/acme/roof.git")
    first = set_ref(origin, REF, "first\n")
    second = set_ref(origin, "refs/heads/pushed", "second\n", first)
    await mirror.fetch()
    late = Sleeps(origin, second)
    job = replace(ON_CHANGE, head_sha=second)
    assert (await find_start(job, remote, mirror, late)).sha == second
    assert late == [HEAD_POLL_SECONDS]
    git(origin, "update-ref", REF, first)
    never = Sleeps(origin)
    with pytest.raises(HeadMoved, match="or it has not arrived yet"):
        await find_start(job, remote, mirror, never)
    assert sum(never) == HEAD_WAIT_SECONDS


async def test_all_history_is_not_read_at_each_look_for_a_head(
    origin: Path, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = RepositorySettings.model_construct(pattern="acme/roof", clone="https://forge.example/acme/roof.git")
    read: list[tuple[str, ...]] = []
    check = History.check

    async def note(history: History, *commits: str) -> None:
        read.append(commits)
        await check(history, *commits)

    monkeypatch.setattr(History, "check", note)
    elsewhere = set_ref(origin, "refs/heads/elsewhere", "elsewhere\n")
    head = set_ref(origin, REF, "first\n")
    await mirror.fetch()
    for pinned, times in (("0" * 40, [(), (head,)]), (elsewhere, [(head,)])):
        read.clear()
        with pytest.raises(HeadMoved):
            await find_start(replace(ON_CHANGE, head_sha=pinned), remote, mirror, Sleeps(origin))
        assert read == times, "to be sure of the no"


async def test_before_the_push_the_change_must_still_contain_the_start(origin: Path, mirror: Mirror) -> None:
    first = set_ref(origin, REF, "first\n")
    start = await find(ON_CHANGE, mirror)
    await check_head(ON_CHANGE, start, mirror, ask_no_forge)
    set_ref(origin, REF, "more\n", first)
    await check_head(ON_CHANGE, start, mirror, ask_no_forge)
    other = set_ref(origin, REF, "other\n")
    with pytest.raises(HeadMoved, match=f"is at {other}, and does not contain {first}"):
        await check_head(ON_CHANGE, start, mirror, ask_no_forge)
    await check_head(ON_CHANGE, Start("main", first, first), mirror, ask_no_forge)
    git(origin, "update-ref", "-d", REF)
    await check_head(ON_CHANGE, start, mirror, ask_no_forge)


async def test_the_forge_knows_the_head_before_the_repository_shows_it(origin: Path, mirror: Mirror) -> None:
    first = set_ref(origin, REF, "first\n")
    start = await find(ON_CHANGE, mirror)
    other = set_ref(origin, "refs/heads/forced", "other\n")
    asked: list[tuple[str, int]] = []

    async def tell(clone: str, number: int) -> str:
        asked.append((clone, number))
        return other

    late = Sleeps(origin, other)
    with pytest.raises(HeadMoved, match=f"is at {other}, and does not contain {first}"):
        await check_head(ON_CHANGE, start, mirror, tell, late)
    assert (asked, late) == ([(mirror.clone, 7)], [HEAD_POLL_SECONDS])
