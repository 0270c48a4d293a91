"""A daemon on a state of an earlier schema says what it does, and asks systemd for the time that it takes."""

import re
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from stitcherd.store.migrate import migrations, split_statements
from stitcherd.store.sqlite import DATABASE
from tests.e2e.conftest import BuildDaemon
from tests.e2e.http_client import TIMEOUT


@pytest.mark.sqlite
def test_the_migration_of_an_old_state_is_told(
    build: BuildDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = build()
    daemon.state.mkdir(mode=0o700)
    with closing(sqlite3.connect(daemon.state / DATABASE, isolation_level=None)) as db:
        for statement in split_statements(migrations()[0][1]):
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TIMEOUT)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        daemon.start()
        assert systemd.recv(100) == b"EXTEND_TIMEOUT_USEC=60000000"
        while (told := systemd.recv(100)) != b"READY=1":
            assert told == b"EXTEND_TIMEOUT_USEC=60000000"
    newest = len(migrations())
    begin = f"migrating the database from version 1 to {newest}: "
    said = re.findall(rf"{begin}(.*)", daemon.log.read_text())
    assert said == [
        f"copying it as it is to {daemon.state / DATABASE}.before-{newest}",
        *(f"step {number} of {newest - 1}" for number in range(1, newest)),
    ]
    assert Path(said[0].removeprefix("copying it as it is to ")).is_file()
    assert f"migrated the database to version {newest} in " in daemon.log.read_text()
