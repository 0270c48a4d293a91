"""Tests mirrors: how they are updated, and which commit a name resolves to."""

import asyncio
import shutil
from pathlib import Path

import pytest

from stitcherd.git import GitError
from stitcherd.git import mirror as mirror_module
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.publish import publish
from stitcherd.git.remote import Remote
from tests.stitcherd.git.repositories import BRANCH, commit, find, git


async def test_a_name_resolves_to_its_commit_at_the_last_fetch(checkouts: Checkouts, origin: Path) -> None:
    first = git(origin, "rev-parse", "main")
    git(origin, "tag", "-a", "-m", "x", "v2")
    git(origin, "branch", "gone")
    await checkouts.mirror(str(origin)).fetch()
    for name in ("main", "v1", "v2", "gone", "refs/heads/main", "refs/tags/v2", first):
        assert await checkouts.mirror(str(origin)).resolve(name) == first
    git(origin, "branch", "-D", "gone")
    second = commit(origin, {"a.txt": "new\n"})
    assert await checkouts.mirror(str(origin)).resolve("main") == first
    await checkouts.mirror(str(origin)).fetch()
    assert await checkouts.mirror(str(origin)).resolve("main") == second
    with pytest.raises(GitError, match="no branch or tag 'gone'"):
        await checkouts.mirror(str(origin)).resolve("gone")


async def test_a_missing_branch_is_answered_with_the_default_branch(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.mirror(str(origin)).fetch()
    git(origin, "branch", "-m", "main", "trunk")  # renamed since: what the repository says now is shown
    await checkouts.mirror(str(origin)).fetch()
    with pytest.raises(GitError, match=r"'main' in .*origin; its default branch is 'trunk' \(see base in stitcherd"):
        await checkouts.mirror(str(origin)).resolve("main")


async def test_an_empty_repository_is_said_to_be_empty(checkouts: Checkouts, tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    git(empty, "init", "-q", "-b", "main")
    await checkouts.mirror(str(empty)).fetch()
    with pytest.raises(GitError, match=r"no branch or tag 'main' in .*empty: it has no commits yet\."):
        await checkouts.mirror(str(empty)).resolve("main")


async def test_a_partial_clone_is_called_one_until_it_is_complete(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--bare", "--filter=blob:none", f"file://{origin}", str(partial))
    git(partial, "config", "remote.origin.url", "https://localhost:1/gone")  # whatever git would do to complete it
    for clone in (str(partial), f"file://{partial}"):
        with pytest.raises(
            GitError, match=f"^{clone} is a partial clone, .* `git fetch --refetch --no-filter`"
        ) as told:
            await checkouts.mirror(clone).fetch()
        assert "corruption" not in str(told.value)
        assert "corruption" in told.value.output
    git(partial, "fetch", "-q", "--refetch", "--no-filter", f"file://{origin}")
    await checkouts.mirror(str(partial)).fetch()
    assert await checkouts.mirror(str(partial)).resolve("main") == git(origin, "rev-parse", "main")


async def test_a_forced_push_and_a_branch_that_became_a_directory(checkouts: Checkouts, origin: Path) -> None:
    git(origin, "branch", "x")
    await checkouts.mirror(str(origin)).fetch()
    git(origin, "branch", "-D", "x")
    git(origin, "branch", "x/y")
    git(origin, "commit", "-q", "--amend", "-m", "again")
    await checkouts.mirror(str(origin)).fetch()
    assert await checkouts.mirror(str(origin)).resolve("main") == git(origin, "rev-parse", "main")
    assert await checkouts.mirror(str(origin)).resolve("x/y")


async def test_a_hostile_name_is_refused(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.mirror(str(origin)).fetch()
    for name in (
        *("-x", "--upload-pack=touch x", "a..b", "a:b", "a b", "a\nb", "a\0b", "main~1", "main^", "main@{1}", "*"),
        *("", "/", "a.lock", "main^{/x}", "\ud800", "\udcff:", "../x", "HEAD", "main/", "a" * 5000, "0" * 40),
    ):
        with pytest.raises(GitError):
            await checkouts.mirror(str(origin)).resolve(name)


async def test_a_hostile_branch_is_neither_opened_nor_published(
    checkouts: Checkouts, checkout: Checkout, origin: Path
) -> None:
    for name in ("-x", "a:b", "a..b", "", "x\n"):
        with pytest.raises(GitError):
            await checkouts.open("other", 1, str(origin), checkout.base, name)
        with pytest.raises(GitError):
            await publish(checkout, str(checkout.base), Remote(checkout.git, str(origin)), name)


@pytest.mark.parametrize("clone", ["ext::sh -c touch% ran", "--upload-pack=touch ran", "/no/such/place"])
async def test_an_invalid_repository_is_an_error(checkouts: Checkouts, tmp_path: Path, clone: str) -> None:
    with pytest.raises(GitError, match=r"git clone failed: .*fatal"):
        await checkouts.mirror(clone).fetch()
    assert not find(tmp_path, "ran")


async def test_errors_do_not_contain_the_password_of_a_url(checkouts: Checkouts) -> None:
    with pytest.raises(GitError) as raised:
        await checkouts.mirror("https://me:hunter2@127.0.0.1/x.git").resolve("main")
    assert "hunter2" not in str(raised.value)


async def test_locks_of_a_killed_git_do_not_block_the_next_daemon(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    await checkouts.mirror(str(origin)).fetch()
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    (mirror / "packed-refs.lock").touch()
    (mirror / "refs/heads/main.lock").touch()
    second = commit(origin, {"a.txt": "new\n"})
    after = Checkouts(tmp_path / "state")
    await after.mirror(str(origin)).fetch()
    assert await after.mirror(str(origin)).resolve("main") == second


@pytest.mark.parametrize("damage", ["refs/heads/main", "HEAD", "objects", "config"])
async def test_a_damaged_mirror_is_cloned_anew(checkouts: Checkouts, origin: Path, tmp_path: Path, damage: str) -> None:
    await checkouts.mirror(str(origin)).fetch()
    git(origin, "branch", "topic")
    assert await checkouts.mirror(str(origin)).fetch() == ""
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    if damage == "objects":
        shutil.rmtree(mirror / "objects")
    else:
        (mirror / damage).write_bytes(b"[" if damage == "config" else b"")
    second = commit(origin, {"a.txt": "new\n"})
    assert "cloned anew" in await checkouts.mirror(str(origin)).fetch()
    assert await checkouts.mirror(str(origin)).resolve("main") == second
    await checkouts.open("job", 1, str(origin), second, BRANCH)
    assert [path.name for path in mirror.parent.iterdir()] == [mirror.name]


async def test_a_mirror_whose_objects_are_gone_is_cloned_anew_for_the_checkout(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    shutil.rmtree(mirror / "objects")
    checkout = await checkouts.open("job", 1, str(origin), base, BRANCH)
    assert (checkout.work / "a.txt").read_text() == "one\ntwo\n"


async def test_a_repository_that_does_not_answer_leaves_the_mirror(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    origin.rename(tmp_path / "away")
    with pytest.raises(GitError, match="git fetch failed"):
        await checkouts.mirror(str(origin)).fetch()
    assert await checkouts.mirror(str(origin)).resolve("main") == base


async def test_small_packs_are_combined_and_unreachable_commits_kept(
    checkouts: Checkouts, origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror_module, "PACKS_MAX", 0)
    await checkouts.mirror(str(origin)).fetch()
    first = await checkouts.mirror(str(origin)).resolve("main")
    git(origin, "commit", "-q", "--amend", "-m", "again")
    git(origin, "tag", "-d", "v1")
    await checkouts.mirror(str(origin)).fetch()
    [mirror] = (tmp_path / "state/mirrors").glob("*.git")
    assert len(list((mirror / "objects/pack").glob("*.pack"))) == 1
    assert not list((mirror / "objects").glob("[0-9a-f][0-9a-f]"))
    assert await checkouts.mirror(str(origin)).resolve(first) == first


async def test_two_fetches_at_once_wait_for_each_other(checkouts: Checkouts, origin: Path) -> None:
    await asyncio.gather(*(checkouts.mirror(str(origin)).fetch() for _ in range(4)))


async def test_one_ref_of_a_change_is_fetched_on_demand(checkouts: Checkouts, origin: Path) -> None:
    main = git(origin, "rev-parse", "main")
    head = commit(origin, {"a.txt": "theirs\n"})
    for ref in ("refs/pull/7/head", "refs/pull/8/head", "refs/merge-requests/7/head", "refs/other/7"):
        git(origin, "update-ref", ref, head)
    git(origin, "reset", "-q", "--hard", main)
    await checkouts.mirror(str(origin)).fetch()
    mirror = checkouts.mirror(str(origin))
    assert await mirror.fetch_ref("refs/pull/9/head") is None
    assert await mirror.fetch_ref("refs/pull/7/head") == head
    assert git(mirror.path, "for-each-ref", "--format=%(refname)").splitlines() == [
        "refs/heads/main",
        "refs/stitcher/refs%2Fpull%2F7%2Fhead",
        "refs/tags/v1",
    ]
    git(origin, "update-ref", "refs/pull/7/head", main)
    assert await mirror.fetch_ref("refs/pull/7/head") == main, "also backwards"
    git(origin, "update-ref", "-d", "refs/other/7")
    assert await mirror.fetch_ref("refs/other/7") is None
    git(origin, "update-ref", "refs/other/7/head", head)
    assert await mirror.fetch_ref("refs/other/7/head") == head
    git(origin, "branch", "refs/pull/9/head")
    assert await mirror.fetch_ref("refs/pull/9/head") is None, "a branch whose name ends like the ref"
    checkout = await checkouts.open("job", 1, str(origin), head, BRANCH, gate_base=main, ref="refs/other/7/head")
    assert (checkout.work / "a.txt").read_text() == "theirs\n"
    assert git(checkout.work, "for-each-ref", "refs/stitcher") == ""


async def test_a_mirror_that_is_cloned_anew_gets_the_ref_again(checkouts: Checkouts, origin: Path) -> None:
    await checkouts.mirror(str(origin)).fetch()
    head = commit(origin, {"a.txt": "theirs\n"})
    git(origin, "update-ref", "refs/pull/7/head", head)
    git(origin, "reset", "-q", "--hard", "v1")
    mirror = checkouts.mirror(str(origin))
    shutil.rmtree(mirror.path / "objects")
    assert await mirror.fetch_ref("refs/pull/7/head") == head
    shutil.rmtree(mirror.path / "objects")
    checkout = await checkouts.open("job", 1, str(origin), head, BRANCH, ref="refs/pull/7/head")
    assert (checkout.work / "a.txt").read_text() == "theirs\n"


@pytest.mark.parametrize("ref", ["refs/pull/*/head", "refs/a:refs/heads/main", "refs/a..b", "refs/a b", "refs/", "--x"])
async def test_a_hostile_ref_is_refused(checkouts: Checkouts, origin: Path, ref: str) -> None:
    await checkouts.mirror(str(origin)).fetch()
    with pytest.raises(GitError):
        await checkouts.mirror(str(origin)).fetch_ref(ref)


async def test_the_first_fetch_ends_what_an_earlier_daemon_left_and_nothing_of_ours(
    checkouts: Checkouts, origin: Path, tmp_path: Path
) -> None:
    mirror = checkouts.mirror(str(origin))
    await mirror.fetch()
    ours = await asyncio.create_subprocess_exec("sleep", "60", cwd=mirror.path)  # as git that reads it for a job
    script = 'cd "$1" && setsid sleep 60 >/dev/null 2>&1 & echo $!'
    left = await asyncio.create_subprocess_exec(
        "setsid", "-f", "sh", "-c", script, "sh", str(mirror.path), stdout=asyncio.subprocess.PIPE
    )
    try:
        pid = int((await left.communicate())[0])
        await Checkouts(tmp_path / "state").mirror(str(origin)).fetch()
        assert not Path(f"/proc/{pid}/cwd").exists()
        assert ours.returncode is None
    finally:
        ours.kill()
        await ours.wait()
