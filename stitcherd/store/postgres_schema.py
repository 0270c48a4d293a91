"""Creates the tables in a PostgreSQL database, or applies the migrations that it lacks, all of them or none."""

import psycopg

from stitcherd.store.errors import UnusableDatabase
from stitcherd.store.migrate import NewerDatabase, log_step, numbered_scripts
from stitcherd.store.postgres_connections import PostgresDb

WRITER_LOCK = 0x5374697463686572  # "Stitcher": the advisory lock of whoever writes
LEADER_LOCK = 0x5374697463686501  # of the leader; a daemon from before SHARED_SINCE has it for as long as it runs
SHARED_SINCE = 7  # the version of the tables since which several processes may use them
CHANNEL = "stitcher"  # of the notifications of commits
JOBS = "jobs"  # what those say that change what jobs may run
COLLATIONS = {"C", "POSIX", "C.UTF-8", "C.utf8"}
_PROPERTIES = (
    "SELECT current_setting('server_version_num') AS version, pg_encoding_to_char(encoding) AS encoding, datcollate"
    " FROM pg_database WHERE datname = current_database()"
)


def create_or_migrate(db: PostgresDb) -> None:
    """Bring the tables to the newest version; raises NewerDatabase, UnusableDatabase, psycopg.Error."""
    refuse_unsuitable(db)
    scripts = numbered_scripts("stitcherd.store.migrations_postgres")
    newest = scripts[-1][0]
    if _version(db) == newest:
        return
    with db.connection.transaction():
        db.execute(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
        version = _version(db)  # another daemon may have been faster
        if version > newest:
            raise NewerDatabase(version, newest)
        if version < SHARED_SINCE and not db.execute(f"SELECT pg_try_advisory_xact_lock({LEADER_LOCK})").fetchone()[0]:
            raise UnusableDatabase("a daemon of an earlier version still uses the database: stop it first")
        for number, script in scripts:
            if number > version:
                log_step(version, number, newest)
                db.connection.execute(script.encode(), prepare=False)
        db.execute("UPDATE schema_version SET version = ?", [newest])


def _version(db: PostgresDb) -> int:
    """Return the number of the last migration that was applied, 0 for a database without tables."""
    try:
        with db.connection.transaction():
            return int(db.execute("SELECT version FROM schema_version").fetchone()["version"])
    except psycopg.errors.UndefinedTable:
        return 0


def refuse_unsuitable(db: PostgresDb) -> None:
    """Raise UnusableDatabase where the server is too old, or orders texts in another way."""
    found = db.execute(_PROPERTIES).fetchone()
    if int(found["version"]) < 140_000:
        raise UnusableDatabase("the server is older than PostgreSQL 14")
    if found["encoding"] != "UTF8" or found["datcollate"] not in COLLATIONS:
        raise UnusableDatabase(
            f"the database has encoding {found['encoding']} and LC_COLLATE {found['datcollate']}: ids are compared by"
            " their bytes; create one with CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
        )
