"""A credential reaches the repository it is for, and is found nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stitcherd.git import Git, GitError
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.publish import BranchMoved, PushRefused, publish
from stitcherd.git.remote import Credential, CredentialRefused, Remote, RemoteUnreachable
from stitcherd.git.work_tree import commit_work_tree
from tests.stitcherd.git.http_repositories import GitServer, serve_repositories
from tests.stitcherd.git.repositories import BRANCH, git, write

PASSWORD = "ghs_not-a-real-token"


@pytest.fixture
async def server(tmp_path: Path, origin: Path) -> AsyncIterator[GitServer]:
    served = tmp_path / "served"
    git(tmp_path, "clone", "-q", "--bare", str(origin), str(served / "api.git"))
    git(served / "api.git", "config", "http.receivepack", "true")
    async with serve_repositories(served, "bot", PASSWORD) as server:
        yield server


@pytest.fixture
def served(tmp_path: Path) -> Path:
    return tmp_path / "served/api.git"


@pytest.fixture
def remote(tmp_path: Path, server: GitServer) -> Remote:
    async def find(clone: str, *, workflows: bool = False) -> Credential | None:
        return Credential(server.origin, "bot", PASSWORD) if clone.startswith(server.origin) else None

    return Remote(Git.with_home(tmp_path / "home"), server.url("api.git"), find)


async def make_commit(checkout: Checkout, text: str) -> str:
    write(checkout.work, {"a.txt": text})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    return sha


@contextmanager
def watched_processes(secret: str) -> Iterator[set[str]]:
    """Collect which command lines and environments of processes have a text, while the block runs."""
    found, looking = set[str](), True

    async def look() -> None:
        while looking:
            for process in Path("/proc").glob("[0-9]*"):
                for name in ("cmdline", "environ"):
                    try:
                        content = (process / name).read_bytes()
                    except OSError:
                        continue
                    if secret.encode() in content:
                        found.add(f"{name} of {content[:40]!r}")
            await asyncio.sleep(0.002)

    task = asyncio.ensure_future(look())
    yield found
    looking = False
    task.cancel()


async def test_commits_are_fetched_and_pushed_with_the_credential(
    checkout: Checkout, remote: Remote, server: GitServer, served: Path
) -> None:
    with watched_processes(PASSWORD) as seen:
        assert await remote.find_head("main") == git(served, "rev-parse", "main")
        sha = await make_commit(checkout, "1\n")
        await publish(checkout, sha, remote, BRANCH)
    assert git(served, "rev-parse", BRANCH) == sha
    assert seen == set()
    assert any(each.authorization for each in server.requests)
    await publish(checkout, sha, remote, BRANCH, [sha])  # again, as after a crash
    assert PASSWORD not in repr(await remote._find_credential(remote.clone))


@pytest.mark.parametrize(
    ("fault", "raised"), [(CredentialRefused, PushRefused), (RemoteUnreachable, RemoteUnreachable)]
)
@pytest.mark.parametrize("earlier", [(), ("0" * 40,)])
async def test_a_push_without_a_credential_is_refused_or_waits(
    checkout: Checkout, fault: type[GitError], raised: type[GitError], earlier: tuple[str, ...]
) -> None:
    async def find(clone: str, *, workflows: bool = False) -> Credential:
        raise fault("There is no credential: grant the App write access to contents")

    remote = Remote(checkout.git, "https://forge.example/api.git", find)
    with pytest.raises(raised, match="grant the App write access to contents"):
        await publish(checkout, await make_commit(checkout, "1\n"), remote, BRANCH, earlier)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [(".github/workflows/ci.yml", True), (".github/workflows", True), (".github/workflows.md", False)],
)
async def test_only_a_push_that_changes_workflows_wants_the_right_for_them(
    checkout: Checkout, server: GitServer, served: Path, path: str, wanted: bool
) -> None:
    asked = []

    async def find(clone: str, *, workflows: bool = False) -> Credential:
        asked.append(workflows)
        return Credential(server.origin, "bot", PASSWORD)

    write(checkout.work, {path: "on: push\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    await publish(checkout, sha, Remote(checkout.git, server.url("api.git"), find), BRANCH, ["0" * 40])
    assert git(served, "rev-parse", BRANCH) == sha
    assert asked == [False, wanted]  # for the head of the branch, and for the push


async def test_a_push_of_workflows_without_the_right_for_them_is_refused(checkout: Checkout) -> None:
    async def find(clone: str, *, workflows: bool = False) -> Credential:
        raise CredentialRefused("grant the App write access to workflows" if workflows else "something else")

    write(checkout.work, {".github/workflows/ci.yml": "on: push\n"})
    sha = await commit_work_tree(checkout, "x")
    assert sha
    with pytest.raises(PushRefused, match="write access to workflows"):
        await publish(checkout, sha, Remote(checkout.git, "https://forge.example/api.git", find), BRANCH)


async def test_no_file_of_ours_has_the_credential(checkout: Checkout, remote: Remote, tmp_path: Path) -> None:
    await publish(checkout, await make_commit(checkout, "1\n"), remote, BRANCH)
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or PASSWORD.encode() not in path.read_bytes(), path


async def test_a_redirect_to_another_host_is_not_followed(
    checkout: Checkout, remote: Remote, server: GitServer, tmp_path: Path
) -> None:
    sha = await make_commit(checkout, "1\n")
    async with serve_repositories(tmp_path / "other") as other:
        server.redirect = other.origin
        for contact in (remote.find_head("main"), publish(checkout, sha, remote, BRANCH)):
            with pytest.raises(GitError, match="302"):
                await contact
        assert other.requests == []


async def test_a_credential_is_for_one_origin(remote: Remote, server: GitServer, tmp_path: Path) -> None:
    async def find(clone: str, *, workflows: bool = False) -> Credential:
        return Credential("http://127.0.0.1:1", "bot", PASSWORD)

    elsewhere = Remote(Git.with_home(tmp_path / "home"), remote.clone, find)
    with pytest.raises(GitError):
        await elsewhere.find_head("main")
    assert [each.authorization for each in server.requests] == [None]


async def test_no_helper_of_the_user_is_asked(remote: Remote, tmp_path: Path, monkeypatch: Any) -> None:
    home = tmp_path / "user"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[credential]\n\thelper = "!touch {tmp_path}/asked"\n')
    monkeypatch.setenv("HOME", str(home))
    await remote.find_head("main")
    assert not (tmp_path / "asked").exists()


async def test_what_the_server_refuses_is_told_apart_from_an_outage(
    checkout: Checkout, remote: Remote, server: GitServer, served: Path
) -> None:
    first = await make_commit(checkout, "1\n")
    server.down = True
    with pytest.raises(RemoteUnreachable, match="502"):
        await publish(checkout, first, remote, BRANCH)
    server.down, server.forbidden = False, "git-receive-pack"
    with pytest.raises(PushRefused, match="403"):
        await publish(checkout, first, remote, BRANCH)
    server.forbidden = None
    hook = served / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'branch is protected'; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(PushRefused, match="branch is protected"):
        await publish(checkout, first, remote, BRANCH)
    hook.unlink()
    git(served, "update-ref", f"refs/heads/{BRANCH}", "main")
    with pytest.raises(BranchMoved, match="rename or delete that branch"):
        await publish(checkout, first, remote, BRANCH)
    assert git(served, "rev-parse", BRANCH) == git(served, "rev-parse", "main")


async def test_a_wrong_password_is_an_outage(checkout: Checkout, server: GitServer, tmp_path: Path) -> None:
    async def find(clone: str, *, workflows: bool = False) -> Credential:
        return Credential(server.origin, "bot", "expired")

    remote = Remote(Git.with_home(tmp_path / "home"), server.url("api.git"), find)
    with pytest.raises(RemoteUnreachable):
        await publish(checkout, await make_commit(checkout, "1\n"), remote, BRANCH)


async def test_a_path_needs_no_credential(checkouts: Checkouts, origin: Path, tmp_path: Path) -> None:
    async def find(clone: str, *, workflows: bool = False) -> Credential:
        raise AssertionError("asked")

    assert await Remote(Git.with_home(tmp_path / "home"), str(origin), find).find_head("main")
