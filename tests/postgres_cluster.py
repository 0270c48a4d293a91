"""A PostgreSQL server of the tests' own, in a temporary directory, that only this machine's users can reach."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from stitcherd.store.postgres_connections import connect_writer
from stitcherd.store.postgres_schema import create_or_migrate

_PROGRAMS = ("/usr/local/bin", "/usr/bin", *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True))
_SETTINGS = ("listen_addresses=", "max_connections=200", "shared_buffers=32MB")
_NOT_DURABLE = ("fsync=off", "full_page_writes=off")
_TEMPLATE = "stitcher_template"


def find_programs() -> str | None:
    """Return the directory of initdb and postgres, None where there is none."""
    found = (each for each in _PROGRAMS if all(os.access(f"{each}/{name}", os.X_OK) for name in ("initdb", "postgres")))
    return next(found, None)


class PostgresCluster:
    """A server that ends with this process. Each database is made from a template that has all tables.

    Unless it is `durable`, a crash of the machine could lose what it has stored.
    """

    def __init__(self, programs: str, *, durable: bool = False) -> None:
        self._programs = programs
        self._settings = _SETTINGS if durable else (*_SETTINGS, *_NOT_DURABLE)
        self.directory = Path(tempfile.mkdtemp(prefix="stitcher-postgres-", dir="/tmp"))
        self._as_user: tuple[str, ...] = ()
        if os.geteuid() == 0:  # the server refuses to run as root
            self._as_user = ("--reuid=postgres", "--regid=postgres", "--init-groups")
            shutil.chown(self.directory, "postgres")
        self._numbers = count(1)
        subprocess.run(
            self._command("initdb", "-U", "stitcher", "-A", "trust", "--no-sync", "--locale=C", "-E", "UTF8"),
            check=True,
            cwd=self.directory,
            stdout=subprocess.DEVNULL,
        )
        self._server = self._start()
        self._execute("postgres", sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        template = connect_writer(self.dsn(_TEMPLATE))
        create_or_migrate(template)
        template.connection.close()

    def dsn(self, database: str) -> str:
        """Return the connection string of a database."""
        return f"host={self.directory} user=stitcher dbname={database}"

    def create(self) -> str:
        """Make a new database with the tables, and nothing else; return its name."""
        name = f"test_{next(self._numbers)}"
        template, new = sql.Identifier(_TEMPLATE), sql.Identifier(name)
        self._execute("postgres", sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, template))
        self._execute(name, sql.SQL("UPDATE meta SET value = md5(random()::text) WHERE name = 'instance'"))
        return name

    def drop(self, name: str) -> None:
        """Delete a database, whoever uses it."""
        self._execute("postgres", sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def restart(self) -> None:
        """End the server as a crash does, without a checkpoint, and start it again."""
        self._end()
        self._server = self._start()

    def remove(self) -> None:
        """Stop the server, and delete its files."""
        self._end()
        shutil.rmtree(self.directory)

    def _end(self) -> None:
        self._server.send_signal(signal.SIGQUIT)
        self._server.wait(20)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start the server; return when it answers."""
        options = (f"-c{each}" for each in (*self._settings, f"unix_socket_directories={self.directory}"))
        with (self.directory / "log").open("wb") as log:
            argv = self._command("postgres", *options)
            server = subprocess.Popen(argv, cwd=self.directory, stdout=log, stderr=log)
        end = time.monotonic() + 20
        while server.poll() is None and time.monotonic() < end:
            with suppress(psycopg.OperationalError), psycopg.connect(self.dsn("postgres")):
                return server
            time.sleep(0.02)
        raise AssertionError((self.directory / "log").read_text())

    def _command(self, program: str, *options: str) -> list[str]:
        argv = [f"{self._programs}/{program}", "-D", str(self.directory / "data"), *options]
        return ["setpriv", "--pdeathsig=QUIT", *self._as_user, *argv]

    def _execute(self, database: str, statement: sql.Composed | sql.SQL) -> None:
        with psycopg.connect(self.dsn(database), autocommit=True) as connection:
            connection.execute(statement)
