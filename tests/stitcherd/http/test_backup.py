"""Backups over the API: for the operator alone, at a path of their choice that is free."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store
from tests.stitcherd.http.conftest import HttpHarness


async def test_the_operator_gets_a_copy_where_nothing_is(api: HttpHarness, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    status, made = await api.local.request("POST", "/backup", json={"path": str(path)})
    assert (status, made) == (201, {"path": str(path), "bytes": path.stat().st_size})
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM meta WHERE name = 'instance'").fetchone() == (1,)
    status, refused = await api.local.request("POST", "/backup", json={"path": str(path)})
    assert (status, refused["code"], refused["detail"]) == (409, "conflict", f"{path} exists already")


async def test_nobody_else_does(api: HttpHarness, tmp_path: Path) -> None:
    status, _ = await api.public.request("POST", "/backup", json={"path": str(tmp_path / "a")}, token="writer")
    assert status == 403
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("a.db", "path: 'a.db' is no absolute path"),
        ("/tmp/\0", "path: '/tmp/\\x00' is no absolute path"),
        ("/nowhere/a.db", "no backup was made at /nowhere/a.db: No such file or directory"),
        ("/proc/a.db", "no backup was made at /proc/a.db: No such file or directory"),
    ],
)
async def test_a_path_that_cannot_be_written_is_refused(api: HttpHarness, path: str, detail: str) -> None:
    status, refused = await api.local.request("POST", "/backup", json={"path": path})
    assert (status, refused["detail"]) == (422, detail)


async def test_a_full_disk_is_no_fault_of_the_request(
    api: HttpHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_store: Store, _target: Path) -> Any:
        raise StorageUnavailable("database or disk is full")

    monkeypatch.setattr(Store, "back_up", fail)
    status, refused = await api.local.request("POST", "/backup", json={"path": str(tmp_path / "a")})
    assert (status, refused["code"]) == (503, "storage_unavailable")
