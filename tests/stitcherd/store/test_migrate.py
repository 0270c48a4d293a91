"""Migrations: from an empty file, from an older version, and all or nothing however they end."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stitcherd.store import migrate
from stitcherd.store.sqlite import open_sqlite

pytestmark = pytest.mark.sqlite

KNOWN = migrate.migrations()
SECOND = (len(KNOWN) + 1, "ALTER TABLE rails ADD COLUMN note TEXT;\nCREATE INDEX rails_loaded ON rails (loaded_at);\n")
# Migrates the database to version 1, then is killed in the middle of the second migration.
KILLED_IN_THE_MIDDLE = """
import os, signal, sqlite3, sys
from stitcherd.store import migrate

first = migrate.migrations()[0]
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.create_function("die", 0, lambda: os.kill(os.getpid(), signal.SIGKILL))
migrate.migrations = lambda: [first]
migrate.migrate(db)
migrate.migrations = lambda: [first, (2, "CREATE TABLE half (n);\\nDROP TABLE steps;\\nSELECT die();\\n")]
migrate.migrate(db)
"""


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def schema(db: sqlite3.Connection) -> tuple[int, set[tuple[str, ...]]]:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    return version, set(db.execute("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'"))


def test_an_empty_file_gets_every_migration_once(db: sqlite3.Connection) -> None:
    migrate.migrate(db)
    after = schema(db)
    instance = db.execute("SELECT value FROM meta").fetchall()
    migrate.migrate(db)
    assert schema(db) == after
    assert after[0] == len(KNOWN)
    assert db.execute("SELECT value FROM meta").fetchall() == instance


def test_an_older_file_becomes_the_newest_version(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.migrate(db)
    db.execute("INSERT INTO rails VALUES ('r1', 'version: 1', 1)")
    monkeypatch.setattr(migrate, "migrations", lambda: [*KNOWN, SECOND])
    migrate.migrate(db)
    assert schema(db)[0] == SECOND[0]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate.migrate(fresh)
        assert schema(db) == schema(fresh)
    assert db.execute("SELECT digest, note FROM rails").fetchall() == [("r1", None)]


def test_decisions_that_nobody_refers_to_are_deleted(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = [each for each in KNOWN if each[0] < next(n for n, text in KNOWN if "DELETE FROM decisions" in text)]
    monkeypatch.setattr(migrate, "migrations", lambda: earlier)
    migrate.migrate(db)
    db.execute("INSERT INTO decisions (key, document) VALUES (1, '{}'), (2, '{}')")
    columns = "id, tail, source, kind, workspace, received_at, event, body_bytes, body_sha256, secret, headers, actor"
    db.execute(
        f"INSERT INTO deliveries ({columns}, verdict, reason, via, decision)"
        " VALUES ('d', 'd', 's', 'k', 'w', 1, 'e', 0, '', 0, '{}', 'a', 'ignored', '', 'webhook', 2)"
    )
    monkeypatch.setattr(migrate, "migrations", lambda: KNOWN)
    migrate.migrate(db)
    assert db.execute("SELECT key FROM decisions").fetchall() == [(2,)]


def test_answers_stay_when_notifications_become_a_kind_of_them(db: sqlite3.Connection) -> None:
    for statement in migrate.split_statements(KNOWN[0][1]):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    columns = "id, tail, workspace, source, repository, slot, present_repository, present_slot, kind, desired, priority"
    insert = f"INSERT INTO answers ({columns}, state, due_at, pending_since, created_at) VALUES "
    for n in (1, 2):
        db.execute(f"{insert} ('i{n}', 't', 'w', 's', 'r', 'c{n}', 'r', 'c', 'comment', '{{}}', 0, 'pending', 1, 2, 3)")
    db.execute("DELETE FROM answers WHERE id = 'i2'")
    before = db.execute("SELECT * FROM answers").fetchall()
    migrate.migrate(db)
    assert db.execute("SELECT * FROM answers").fetchall() == before
    db.execute(f"{insert} ('i3', 't', 'w', 'n', '', 'n', '', 'n', 'notification', '{{}}', 0, 'pending', 1, 2, 3)")
    assert db.execute("SELECT key FROM answers WHERE id = 'i3'").fetchone() == (3,), "no key is used twice"
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute(f"{insert} ('i4', 't', 'w', 'n', '', 'm', '', 'm', 'other', '{{}}', 0, 'pending', 1, 2, 3)")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        db.execute(f"{insert} ('i5', 't', 'w', 'n', '', 'n', '', 'n', 'comment', '{{}}', 0, 'pending', 1, 2, 3)")


def test_a_failing_migration_leaves_the_file_unchanged(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate.migrate(db)
    before = schema(db)
    number = len(KNOWN) + 1
    failing = (number, "CREATE TABLE half (n);\nINSERT INTO half VALUES (1);\n"), (number + 1, "DROP TABLE nobody;\n")
    monkeypatch.setattr(migrate, "migrations", lambda: [*KNOWN, *failing])
    with pytest.raises(sqlite3.OperationalError, match="nobody"):
        migrate.migrate(db)
    assert schema(db) == before
    assert not db.in_transaction


def test_being_killed_in_the_middle_leaves_the_file_unchanged(path: Path, db: sqlite3.Connection) -> None:
    env = os.environ | {"PYTHONPATH": str(Path(migrate.__file__).parents[2])}
    killed = subprocess.run([sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(path)], env=env, check=False, timeout=30)
    assert killed.returncode == -signal.SIGKILL
    version, objects = schema(db)
    names = {each[1] for each in objects}
    assert (version, "half" in names, "steps" in names) == (1, False, True)
    migrate.migrate(db)
    assert schema(db)[0] == len(KNOWN)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_newer_database_is_refused_and_unchanged(path: Path, db: sqlite3.Connection) -> None:
    migrate.migrate(db)
    db.execute(f"PRAGMA user_version = {len(KNOWN) + 1}")
    before = schema(db)
    with pytest.raises(migrate.NewerDatabase, match="use a newer Stitcher"):
        await open_sqlite(path)
    assert schema(db) == before


def test_a_gap_in_the_numbers_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0003_c.sql"):
        (tmp_path / name).write_text("SELECT 1;\n")
    monkeypatch.setattr(migrate, "files", lambda _: tmp_path)
    with pytest.raises(RuntimeError, match="not numbered"):
        migrate.migrations()


@settings(deadline=None)
@given(st.lists(st.sampled_from(["SELECT 1;", "SELECT ';';", "-- a; b\nSELECT 2;", "SELECT\n  3\n;"]), max_size=5))
def test_a_script_is_split_into_its_statements(parts: list[str]) -> None:
    assert [each.strip() for each in migrate.split_statements("\n".join(parts))] == parts


def test_a_trigger_is_one_statement_and_an_incomplete_statement_is_refused() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  SELECT 1;\n  SELECT 2;\nEND;"
    assert list(migrate.split_statements(trigger)) == [trigger]
    with pytest.raises(sqlite3.OperationalError, match="incomplete"):
        list(migrate.split_statements("SELECT 1;\nCREATE TABLE x ("))
