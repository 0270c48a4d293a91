"""A daemon whose store is in PostgreSQL: who may use a database, lost connections, and what is left to its programs."""

import subprocess
import sys
import tarfile
import threading
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness, wait_until
from tests.e2e.webhooks import SECRETS
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


def log_path(job: Any) -> str:
    """Return the path of the log of the agent's step."""
    step = next(step for step in job["steps"] if step["name"] == "agent")
    return f"/runner-jobs/{job['id']}/steps/{step['id']}/log"


def outputs_of(daemon: DaemonHarness, job: Any) -> list[tuple[int, bytes]]:
    """Return what the daemon shows of each log of a job, of what its agent was sent, and of its diff."""
    paths = [f"/runner-jobs/{job['id']}/steps/{step['id']}/log" for step in job["steps"]]
    last = log_path(job).removesuffix("log") + "conversation", f"/runner-jobs/{job['id']}/diff"
    replies = [daemon.request("GET", path) for path in (*paths, *last)]
    return [(reply.status, reply.body) for reply in replies]


def test_logs_and_diffs_are_shown_by_a_daemon_that_has_no_file_of_them(build: BuildDaemon, tmp_path: Path) -> None:
    first, second = build(daemon='log_max = "128KiB"'), build()
    first.start()
    job = first.run("free", f"seq 1 90000; echo {SECRETS['github']}; echo {SECRETS['github']} > made")
    outputs = outputs_of(first, job)
    assert not [path for path in (first.state / "logs").rglob("*") if path.is_file()]
    first.stop()
    (second.root / "dsn").write_text(dsn_of(first))
    second.start()
    assert outputs_of(second, job) == outputs
    assert outputs[-2][1].startswith(b"=== prompt ===\n")
    whole = second.request("GET", log_path(job))
    assert whole.body.startswith(b"1\n2\n3\n")
    assert whole.body.endswith(b"90000\n[secret]\n")
    assert b"bytes left out" in whole.body
    assert len(whole.body) < 130 * 1024
    for given, part in (("10-19", slice(10, 20)), ("-4", slice(-4, None)), ("100000-", slice(100000, None))):
        reply = second.request("GET", log_path(job), headers={"Range": f"bytes={given}"})
        assert (reply.status, reply.body) == (206, whole.body[part])
    assert second.request("GET", log_path(job), headers={"Range": "bytes=99999999-"}).status == 416
    head = second.request("HEAD", log_path(job))
    assert (head.status, head.headers["Content-Length"], head.body) == (200, str(len(whole.body)), b"")
    assert b"+[secret]\n" in outputs[-1][1]
    assert second.cli("show", "--diff", job["id"]).stdout.encode() == outputs[-1][1]
    ran = second.cli("bundle", job["id"], "-o", str(tmp_path))
    assert (ran.returncode, ran.stderr.count("some parts are missing")) == (0, 0)
    with tarfile.open(ran.stdout.strip()) as tar:
        logs = [tar.extractfile(each) for each in tar.getmembers() if "/logs/" in each.name]
        assert sorted(log.read() for log in logs if log) == sorted(body for _, body in outputs[:-2] if body)


def test_output_is_in_the_database_before_its_step_ends(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    go_on = daemon.root / "go-on"
    job_id = daemon.dispatch("free", f"echo begun; while [ ! -e {go_on} ]; do sleep 0.05; done; echo over")

    def read_log() -> bytes | None:
        job = daemon.job(job_id)
        steps = [step for step in job["steps"] if step["name"] == "agent"]
        return daemon.request("GET", log_path(job)).body or None if steps else None

    assert wait_until(read_log, "output") == b"begun\n"
    with psycopg.connect(dsn_of(daemon)) as connection:
        stored = connection.execute(
            "SELECT data FROM pieces WHERE output LIKE '%.log' AND data LIKE '%begun%'"
        ).fetchall()
    assert stored == [(b"begun\n",)]
    job = daemon.job(job_id)
    assert job["status"] == "RUNNING"
    part = daemon.request("GET", log_path(job), headers={"Range": "bytes=2-"})
    assert (part.status, part.body) == (206, b"gun\n")
    go_on.touch()
    daemon.wait(job_id, "COMPLETED")
    assert daemon.request("GET", log_path(job)).body == b"begun\nover\n"


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
