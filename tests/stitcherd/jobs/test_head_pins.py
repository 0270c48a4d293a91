"""The head of a change is pinned for jobs that wait, as soon as the repository answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs import head_pins
from stitcherd.store import jobs
from stitcherd.store.store import Store
from tests.stitcherd.git.repositories import commit, git
from tests.stitcherd.store.factories import approval_request, dispatch, new_job
from tests.stores import open_store

REF = "refs/pull/7/head"


@asynccontextmanager
async def pinning(store: Store, tmp_path: Path) -> AsyncIterator[None]:
    """Pin heads of the repository `origin` meanwhile."""
    (tmp_path / "stitcherd.toml").write_text(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[repositories."acme/roof"]\nclone = "{tmp_path}/origin"\n'
    )
    settings = load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "socket"))
    task = asyncio.create_task(head_pins.pin_heads(store, settings, Checkouts(tmp_path / "state")))
    yield
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def pinned(store: Store, job_id: str) -> str | None:
    async with store.reading() as db:
        return (await jobs.get_job(db, job_id, None)).head_sha


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    for _ in range(2000):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


async def test_a_head_is_looked_up_until_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(head_pins, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(head_pins, "COALESCE_SECONDS", 0.01)
    monkeypatch.setattr(head_pins, "RETRY_MS", 0)
    store = await open_store(tmp_path / "stitcher.db")
    waiting = {"approval": approval_request(), "ref": REF, "target": "main"}
    job = await dispatch(store, new_job(repository="acme/roof", **waiting))
    other = await dispatch(store, new_job(repository="acme/other", **waiting))
    mirrors = tmp_path / "state/mirrors"

    async def failed() -> bool:
        return "the head of its change is not known yet: git clone failed" in caplog.text

    async def fetched() -> bool:
        return bool(list(mirrors.glob("*.git")))

    async with pinning(store, tmp_path):
        await until(failed, "there is no repository")
        (origin := tmp_path / "new").mkdir()
        git(origin, "init", "-q", "-b", "main")
        commit(origin, {"a.txt": "one\n"})
        origin.rename(tmp_path / "origin")
        await until(fetched, "the repository is there")
        assert await pinned(store, job.id) is None, "there is no such ref yet"
        head = commit(tmp_path / "origin", {"a.txt": "theirs\n"})
        git(tmp_path / "origin", "update-ref", REF, head)
        await until(partial(pinned, store, job.id), "the head is pinned")
    assert (await pinned(store, job.id), await pinned(store, other.id)) == (head, None)
    await store.close()
