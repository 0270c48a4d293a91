"""The stores that tests open: `--store` says in which database, a SQLite file if it says nothing."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stitcherd.store.postgres import open_postgres
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store
from tests.postgres_cluster import PostgresCluster, find_programs

KINDS = ("sqlite", "postgres")

kind = KINDS[0]  # set once, when pytest has read its options
_databases: dict[Path, str] = {}  # of PostgreSQL, by the paths that name them


async def open_store(path: Path) -> Store:
    """Open the store that a path names: the same path, the same store, until the test ends."""
    return await open_sqlite(path) if kind == "sqlite" else await open_postgres(dsn_of(path))


def open_directly(path: Path) -> Any:
    """Open the database of a store past the store, each statement in a transaction of its own."""
    if kind == "sqlite":
        return sqlite3.connect(path, isolation_level=None)
    return psycopg.connect(dsn_of(path), autocommit=True)


def dsn_of(path: Path) -> str:
    """Return the connection string of the PostgreSQL database that a path names; there is one from now on."""
    if path not in _databases:
        _databases[path] = cluster().create()
    return cluster().dsn(_databases[path])


def settings_table(directory: Path) -> str:
    """Return the table of the settings for a daemon whose files are in a directory; empty for a SQLite file."""
    if kind == "sqlite":
        return ""
    dsn = directory / "dsn"
    dsn.touch(mode=0o600)
    dsn.write_text(dsn_of(directory))
    return f'[store]\nkind = "postgres"\ndsn = {{file = "{dsn}"}}\n'


def drop(path: Path) -> None:
    """Delete the PostgreSQL database that a path names, if there is one."""
    if path in _databases:
        cluster().drop(_databases.pop(path))


@contextmanager
def forgetting_databases() -> Iterator[None]:
    """Forget at the end the stores that were opened meanwhile."""
    kept = set(_databases)
    yield
    for path in _databases.keys() - kept:
        drop(path)


@contextmanager
def in_postgres() -> Iterator[None]:
    """Open stores in PostgreSQL meanwhile, whatever `--store` says."""
    global kind  # noqa: PLW0603 (restored at the end)
    before, kind = kind, "postgres"
    try:
        yield
    finally:
        kind = before
        if before != "postgres":
            remove_cluster()


@cache
def cluster() -> PostgresCluster:
    """Return the server of this session, which is started with the first call."""
    programs = find_programs()
    if programs is None:
        pytest.skip("there is no initdb: install postgresql to run the tests with --store=postgres")
    return PostgresCluster(programs)


def remove_cluster() -> None:
    """Stop the server of this session, if it was started."""
    if cluster.cache_info().currsize:
        cluster().remove()
        cluster.cache_clear()
