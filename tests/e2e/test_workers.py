"""A daemon and workers on one PostgreSQL database: what a worker leaves is taken up once, and nothing runs twice."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness, wait_until
from tests.e2e.workers import LEASE_SECONDS, SHORT_LEASE, Witness, WorkerHarness

pytestmark = pytest.mark.postgres

JOBS = 40
KILLS = 8
FRAMES = 50  # that are read from one daemon, before the next ones are read from the other
LIMIT = 60.0  # seconds, on a busy machine

StartWorker = Callable[..., WorkerHarness]


@pytest.fixture
def daemon(build: BuildDaemon) -> DaemonHarness:
    """A daemon that runs one job at a time itself."""
    daemon = build(daemon='name = "front"\nworkers = 1', store=SHORT_LEASE)
    daemon.start()
    return daemon


@pytest.fixture
def start_worker(daemon: DaemonHarness) -> Iterator[StartWorker]:
    """Returns a function that starts a worker and waits until it has joined."""
    workers: list[WorkerHarness] = []

    def start(name: str, **options: Any) -> WorkerHarness:
        workers.append(WorkerHarness(daemon, name, **options).start())
        wait_until(lambda: name in names(daemon), f"{name} has joined")
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process is not None:
            os.kill(worker.pid, signal.SIGCONT)
        worker.kill()


def names(daemon: DaemonHarness) -> list[str]:
    return [each["name"] for each in daemon.get("/daemons")["items"]]


def occupy(daemon: DaemonHarness) -> str:
    """Let the daemon itself run a job, so that workers take the others."""
    job_id = daemon.dispatch("free", "sleep 60")
    daemon.step(job_id, "agent")
    return job_id


def milliseconds(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)


def recovered_at(job: Any) -> int:
    return next(milliseconds(each["timestamp"]) for each in job["events"] if each["type"] == "job.recovered")


def test_a_worker_runs_jobs_and_shows_itself(daemon: DaemonHarness, start_worker: StartWorker) -> None:
    occupy(daemon)
    start_worker("builder")
    job_id = daemon.dispatch("fix", f"touch made; while ! test -e {daemon.root}/go; do sleep 0.05; done")
    daemon.step(job_id, "agent")
    assert daemon.job(job_id)["worker"] == "builder"
    [listed, other] = daemon.get("/daemons")["items"]
    assert (listed["role"], other["role"], other["workers"]) == ("daemon", "worker", 3)
    wait_until(lambda: "agent" in daemon.get("/daemons")["items"][1]["executors"], "what it reaches is known")
    [check] = [each for each in daemon.get("/readyz")["checks"] if each["name"] == "daemons"]
    assert check["ok"]
    assert "worker builder (3)" in check["detail"]
    (daemon.root / "go").touch()
    job = daemon.wait(job_id, "COMPLETED")
    assert job["worker"] is None
    assert daemon.git("show", f"{job['branch']}:made") == ""


def test_a_worker_that_is_told_to_reload_goes_on(daemon: DaemonHarness, start_worker: StartWorker) -> None:
    occupy(daemon)
    worker = start_worker("builder")
    os.kill(worker.pid, signal.SIGHUP)
    wait_until(lambda: b"SIGHUP: a worker has no file of rails" in daemon.log.read_bytes(), "it says so")
    daemon.wait(daemon.dispatch("fix", "touch made"), "COMPLETED")


def test_the_daemon_shows_the_output_of_a_job_on_a_worker_while_it_grows(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    occupy(daemon)
    start_worker("builder")
    script = f"echo begun; touch made; while ! test -e {daemon.root}/go; do sleep 0.05; done; echo over"
    job_id = daemon.dispatch("fix", script)
    job = daemon.step(job_id, "agent")
    assert job["worker"] == "builder"
    step = next(step for step in job["steps"] if step["name"] == "agent")
    path = f"/runner-jobs/{job_id}/steps/{step['id']}/log"
    assert wait_until(lambda: daemon.request("GET", path).body, "output") == b"begun\n"
    assert daemon.job(job_id)["status"] == "RUNNING"
    part = daemon.request("GET", path, headers={"Range": "bytes=2-"})
    assert (part.status, part.body) == (206, b"gun\n")
    (daemon.root / "go").touch()
    daemon.wait(job_id, "COMPLETED")
    assert daemon.request("GET", path).body == b"begun\nover\n"
    assert b"b/made" in daemon.request("GET", f"/runner-jobs/{job_id}/diff").body
    assert not (daemon.state / "logs" / job_id).exists()
    assert not (daemon.root / "builder" / "state" / "logs" / job_id).exists()


def test_a_cancel_ends_a_job_on_a_worker(daemon: DaemonHarness, start_worker: StartWorker) -> None:
    occupy(daemon)
    start_worker("builder")
    job_id = daemon.dispatch("free", "sleep 57")
    daemon.step(job_id, "agent")
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {}).status == 202
    daemon.wait(job_id, "CANCELLED")
    wait_until(lambda: not daemon.has_process("57"), "its agent has ended")


def test_jobs_of_a_killed_worker_are_queued_again_after_its_lease(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    occupy(daemon)
    worker = start_worker("builder")
    witness = Witness(daemon.root)
    found = [daemon.dispatch("again", witness.script("[ $STITCHER_ATTEMPT = 2 ] || sleep 60")) for _ in range(3)]
    for job_id in found:
        daemon.step(job_id, "agent")
    killed_at = time.time() * 1000
    worker.kill()
    for job_id in found:
        wait_until(lambda job_id=job_id: daemon.job(job_id)["attempt"] == 2, "it is queued again", LIMIT)  # type: ignore[misc]
    late = max(recovered_at(daemon.job(job_id)) for job_id in found) - killed_at
    assert late < (LEASE_SECONDS + 2) * 1000, late
    start_worker("another")
    for job_id in found:
        assert daemon.wait(job_id, "COMPLETED", limit=LIMIT)["attempt"] == 2
    witness.check()
    gone = [each for each in stored_events(daemon) if each["type"] == "daemon.gone"]
    assert [each["payload"]["name"] for each in gone] == ["builder"]


def test_nothing_is_lost_or_started_twice_while_workers_are_killed(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    witness, chosen = Witness(daemon.root), random.Random(18)
    workers = [start_worker("builder-1"), start_worker("builder-2")]
    found = [daemon.dispatch("again", witness.script("sleep 0.2")) for _ in range(JOBS)]
    for _ in range(KILLS):
        seen = len(witness.starts())
        wait_until(lambda seen=seen: len(witness.starts()) > seen or done(daemon) == JOBS, "a start", LIMIT)  # type: ignore[misc]
        worker = chosen.choice(workers)
        worker.kill()
        worker.start()
    wait_until(lambda: done(daemon) == JOBS, "all jobs have ended", LIMIT)
    assert {daemon.job(job_id)["status"] for job_id in found} == {"COMPLETED"}
    witness.check()


def test_a_stopped_worker_never_runs_a_job_beside_its_next_attempt(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    occupy(daemon)
    worker = start_worker("stopped")
    witness = Witness(daemon.root)
    found = [daemon.dispatch("again", witness.script("[ $STITCHER_ATTEMPT = 2 ] || sleep 60")) for _ in range(2)]
    for job_id in found:
        daemon.step(job_id, "agent")
    start_worker("other")
    os.kill(worker.pid, signal.SIGSTOP)
    for job_id in found:
        assert daemon.wait(job_id, "COMPLETED", limit=LIMIT)["attempt"] == 2
    over = time.monotonic() + LEASE_SECONDS
    while time.monotonic() < over:  # three leases in all: it was one until it was given up
        time.sleep(0.1)
    os.kill(worker.pid, signal.SIGCONT)
    wait_until(lambda: "stopped" in names(daemon), "it has joined again", LIMIT)
    witness.check()
    last = daemon.dispatch("again", witness.script("true"))
    daemon.wait(last, "COMPLETED")
    witness.check()


def test_a_worker_that_is_cut_off_ends_its_jobs_within_its_lease(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    occupy(daemon)
    start_worker("builder")
    job_id = daemon.dispatch("again", "[ $STITCHER_ATTEMPT = 2 ] || sleep 58")
    daemon.step(job_id, "agent")
    dsn = (daemon.root / "dsn").read_text()
    database = dsn.rpartition("dbname=")[2]
    with psycopg.connect(dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
        wait_until(lambda: not daemon.has_process("58"), "its agent has ended", LIMIT)
        admin.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
    assert daemon.wait(job_id, "COMPLETED", limit=LIMIT)["attempt"] == 2


def test_a_stream_goes_on_at_another_daemon_and_misses_nothing(
    daemon: DaemonHarness, build: BuildDaemon, start_worker: StartWorker
) -> None:
    other = build(daemon='name = "other"', store=SHORT_LEASE)
    (other.root / "dsn").write_text((daemon.root / "dsn").read_text())
    other.start()
    start_worker("builder-1")
    start_worker("builder-2")
    both = itertools.cycle((daemon, other))
    seen: list[int] = []

    def read(count: int) -> None:
        frames = next(both).stream(f"/events?after={seen[-1] if seen else 0}", count)
        heads = [frame.split(b"\n") for frame in frames]
        seen.extend(int(head[0].removeprefix(b"id: ")) for head in heads if head[1].startswith(b"event: "))

    def dispatch(from_: DaemonHarness) -> None:
        for _ in range(JOBS):
            from_.dispatch("free", repository=None)

    senders = [threading.Thread(target=dispatch, args=(each,)) for each in (daemon, other)]
    for sender in senders:
        sender.start()
    with psycopg.connect((daemon.root / "dsn").read_text(), autocommit=True) as admin:
        is_done = False
        while True:
            stored = [row[0] for row in admin.execute("SELECT id FROM events ORDER BY id").fetchall()]
            count = len(stored) - len(seen)
            if count:
                read(min(count, FRAMES))
            elif is_done:
                break
            is_done = done(daemon) == 2 * JOBS
    for sender in senders:
        sender.join()
    assert seen == stored


def test_a_worker_needs_a_store_that_is_shared_and_a_name_of_its_own(
    daemon: DaemonHarness, start_worker: StartWorker
) -> None:
    worker = start_worker("builder")
    second = WorkerHarness(daemon, "second")
    settings = second.root / "stitcherd.toml"
    settings.write_text(settings.read_text().replace('name = "second"', 'name = "builder"'))
    assert "another worker is named builder" in run_worker(second, 1)
    worker.kill()
    (second.root / "stitcherd.toml").write_text(f'[daemon]\nstate_dir = "{second.root}/state"\n')
    assert 'kind = "postgres"' in run_worker(second, 2)


def test_a_copy_of_a_state_directory_ends_no_lease_and_a_restart_does_at_once(build: BuildDaemon) -> None:
    daemon = build(daemon='name = "front"\nworkers = 1', store='lease = "10m"\n')
    daemon.start()
    occupy(daemon)
    worker = WorkerHarness(daemon, "builder").start()
    try:
        wait_until(lambda: "builder" in names(daemon), "it has joined")
        job_id = daemon.dispatch("free", "sleep 60")
        wait_until(lambda: daemon.job(job_id)["worker"] == "builder", "the worker runs the job")
        copy = WorkerHarness(daemon, "copy")
        settings = copy.root / "stitcherd.toml"
        settings.write_text(settings.read_text().replace('lease = "10m"', 'lease = "3s"'))  # so long it waits
        shutil.copytree(worker.root / "state", copy.root / "state")
        assert "is a copy of the state directory of the worker builder" in run_worker(copy, 1)
        assert "builder" in names(daemon)
        assert (daemon.job(job_id)["status"], daemon.job(job_id)["attempt"]) == ("RUNNING", 1)
        worker.kill()
        worker.start()
        wait_until(lambda: daemon.job(job_id)["status"] != "RUNNING", "the job is taken up")
        reasons = [each["payload"].get("reason") for each in stored_events(daemon) if each["type"] == "daemon.gone"]
        assert reasons == ["it was started again"]
    finally:
        worker.kill()


def test_a_worker_whose_clock_is_wrong_is_refused(daemon: DaemonHarness) -> None:
    worker = WorkerHarness(daemon, "builder")
    with psycopg.connect((daemon.root / "dsn").read_text(), autocommit=True) as admin:
        later = "RETURN CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) + 5000"
        admin.execute(f"CREATE OR REPLACE FUNCTION database_ms() RETURNS BIGINT LANGUAGE sql VOLATILE {later}")
    assert "the clock of this machine is 5.0 s behind that of the database" in run_worker(worker, 1)


def run_worker(worker: WorkerHarness, code: int) -> str:
    """Run a worker that does not start; return what it prints."""
    argv = [sys.executable, "-m", "stitcherd", "worker", "--config", str(worker.root)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code, done.stderr
    return done.stderr


def stored_events(daemon: DaemonHarness) -> list[Any]:
    """Return all events of daemons, oldest first."""
    with psycopg.connect((daemon.root / "dsn").read_text(), autocommit=True) as admin:
        found = admin.execute(
            "SELECT type, payload::json FROM events WHERE type LIKE 'daemon.%' ORDER BY id"
        ).fetchall()
    return [{"type": type_, "payload": payload} for type_, payload in found]


def done(daemon: DaemonHarness) -> int:
    counts = daemon.get("/runner-jobs?limit=1")["counts"]
    return sum(int(counts[name]) for name in ("completed", "failed", "cancelled"))
