"""`stitcherd store copy`: a daemon on the copy answers as the one before it did, and goes on with its events."""

import asyncio
import subprocess
import sys

import psycopg
import pytest

from tests import stores
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness
from tests.e2e.past_jobs import add_past_jobs
from tests.e2e.responses import events_after, responses

pytestmark = pytest.mark.postgres

JOBS = 400
SAMPLES = 25
FRAMES = 20


def empty_dsn(daemon: DaemonHarness) -> str:
    """Return the connection string of a database without tables, which `daemon` uses when it starts."""
    dsn = stores.dsn_of(daemon.root)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    return dsn


def has_tables(dsn: str) -> bool:
    with psycopg.connect(dsn) as admin:
        return bool(admin.execute("SELECT 1 FROM information_schema.tables WHERE table_schema = 'public'").fetchall())


def copy(daemon: DaemonHarness, dsn: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stitcherd", "store", "copy", "--to", dsn, *options, "--config", str(daemon.config)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_daemon_on_the_copy_answers_as_the_one_before(build: BuildDaemon) -> None:
    daemon, second = build(), build()
    daemon._pieces["store"] = ""  # its state is a SQLite file
    daemon.start()
    real = [daemon.run("fix", "echo x > made; echo said")["id"], daemon.run("lenient", "touch broken")["id"]]
    daemon.stop()
    ids = [*real, *asyncio.run(add_past_jobs(daemon.state, JOBS, SAMPLES))]
    daemon.start()
    expected = responses(daemon, ids)
    followed = dict(events_after(daemon, range(0, JOBS, 100), FRAMES))
    instance, cursor = daemon.get("/meta")["instance"], daemon.get("/runner-jobs?limit=1")["cursor"]
    dsn = empty_dsn(second)
    refused = copy(daemon, dsn)
    assert (refused.returncode, "stop it first" in refused.stderr) == (1, True)
    daemon.stop()

    tried = copy(daemon, dsn, "--dry-run")
    assert (tried.returncode, f"{JOBS + 2:,} jobs" in tried.stdout) == (0, True), tried.stderr
    assert not has_tables(dsn)
    files = sorted((daemon.state / "logs").rglob("*"))
    done = copy(daemon, dsn)
    assert done.returncode == 0, done.stderr
    assert "are the same in both databases" in done.stdout
    assert f"jobs: {JOBS + 2:,} rows" in done.stderr
    assert sorted((daemon.state / "logs").rglob("*")) == files
    again = copy(daemon, dsn)
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)

    second.start()
    found = responses(second, ids)
    assert {name for name in expected if found.get(name) != expected[name]} == set()
    assert dict(events_after(second, range(0, JOBS, 100), FRAMES)) == followed
    assert second.get("/meta")["instance"] == instance
    verified = second.cli("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    new = second.run("free", "true")
    assert new["status"] == "COMPLETED"
    [frame] = second.stream(f"/events?after={cursor}", 1)
    assert f"id: {cursor + 1}\n".encode() in frame, "a client goes on where it was"
    second.stop()


def test_a_state_directory_without_a_database_is_refused(build: BuildDaemon) -> None:
    daemon, second = build(), build()
    dsn = empty_dsn(second)
    daemon.write_settings()
    refused = copy(daemon, dsn)
    assert (refused.returncode, "there is no state directory" in refused.stderr) == (1, True)
    daemon.state.mkdir()
    refused = copy(daemon, dsn)
    assert (refused.returncode, "there is no database" in refused.stderr) == (1, True)
    assert not has_tables(dsn)
