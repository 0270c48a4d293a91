"""A daemon whose store is in PostgreSQL: who may use a database, lost connections, and what is left to its programs."""

import subprocess
import sys
import threading
from typing import Any

import psycopg
import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness, wait_until
from tests.e2e.workers import SHORT_LEASE

pytestmark = pytest.mark.postgres

CUTS = 12

Admin = psycopg.Connection[tuple[Any, ...]]


def dsn_of(daemon: DaemonHarness) -> str:
    return (daemon.root / "dsn").read_text()


def connect(daemon: DaemonHarness) -> Admin:
    """Connect to another database of the same server."""
    return psycopg.connect(dsn_of(daemon), dbname="postgres", autocommit=True)


def name_of(daemon: DaemonHarness) -> str:
    return dsn_of(daemon).rpartition("dbname=")[2]


def cut_off(admin: Admin, database: str) -> None:
    """End all connections to a database."""
    admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])


def allow_connections(admin: Admin, database: str, *, allowed: bool) -> None:
    admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS {allowed}')


def test_daemons_share_a_database_and_its_rails(build: BuildDaemon) -> None:
    first, second = (
        build(daemon='name = "first"', store=SHORT_LEASE),
        build(daemon='name = "second"', store=SHORT_LEASE),
    )
    first.start()
    (second.root / "dsn").write_text(dsn_of(first))
    second.rails.write_text(second.rails.read_text() + "# another\n")
    second.start()
    assert [each["name"] for each in second.get("/daemons")["items"]] == ["first", "second"]
    in_force = first.get("/rails")["revision"]
    shown = second.get("/rails")
    assert (shown["revision"], shown["error"]) == (in_force, None)
    assert "differs" in shown["warnings"][0]["message"]
    job_id = second.dispatch("free", "sleep 59")
    first.step(job_id, "agent")
    first.request("POST", f"/runner-jobs/{job_id}/cancel", {})
    second.wait(job_id, "CANCELLED")
    second.rails.write_text(second.rails.read_text() + "# changed\n")
    wait_until(lambda: first.get("/rails")["revision"] != in_force, "it is in force for all")
    assert first.get("/rails")["revision"] == second.get("/rails")["revision"]
    assert "differs" in first.get("/rails")["warnings"][0]["message"]
    assert second.run("free", "true")["status"] == "COMPLETED"
    first.kill()
    wait_until(lambda: "this process is the leader now" in second.log.read_text(), "the other one leads")
    assert second.run("free", "true")["status"] == "COMPLETED"


def test_what_is_answered_is_stored_while_connections_are_lost(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    first = daemon.run("free", "true")  # then all of its parts have started, which end with the server at a start
    over = threading.Event()
    jobs, refused = {str(first["id"])}, 0

    def lose_connections() -> None:
        with connect(daemon) as admin:
            for _ in range(CUTS):
                cut_off(admin, name_of(daemon))
                over.wait(0.1)
        over.set()

    losing = threading.Thread(target=lose_connections)
    losing.start()
    issue = 0
    while not over.is_set():
        issue += 1
        reply = daemon.comment("@mosaic free true", issue=issue)
        assert reply.status in {202, 503}
        if reply.status == 202:
            jobs.add(reply.json["jobId"])
        else:
            refused += 1
    losing.join()
    assert jobs
    for job in jobs:
        assert daemon.wait(job)["status"] == "COMPLETED"
    found = {job["id"] for job in daemon.get("/runner-jobs?limit=500")["items"]}
    assert jobs <= found
    assert len(found - jobs) <= refused


def test_everything_goes_on_once_the_server_answers_again(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.run("free", "true")  # then all of its parts have started, which end with the server at a start
    with connect(daemon) as admin:
        allow_connections(admin, name_of(daemon), allowed=False)  # as if the server was away
        cut_off(admin, name_of(daemon))
        wait_until(lambda: daemon.comment("@mosaic free true", issue=1).status == 503, "nothing can be stored")
        assert daemon.public("GET", "/readyz").status == 503
        allow_connections(admin, name_of(daemon), allowed=True)
    wait_until(lambda: daemon.public("GET", "/readyz").status == 200, "all can be stored again")
    assert daemon.run("free", "true")["status"] == "COMPLETED"


def test_backups_are_left_to_the_programs_of_postgresql(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    made = daemon.cli("backup", str(daemon.root / "backup.db"))
    assert made.returncode == 1
    assert "use pg_dump" in made.stderr
    daemon.stop()
    argv = [sys.executable, "-m", "stitcherd", "restore", "backup.db", "--config", str(daemon.config)]
    restored = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert (restored.returncode, "use pg_restore" in restored.stderr) == (1, True)
    assert not (daemon.state / "stitcher.db").exists()
