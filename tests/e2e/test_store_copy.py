"""`stitcherd store copy`: a daemon on the copy answers as the one before it did, and goes on with its events."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from shared.ids import now_ms
from shared.models import Failure, Phase, Result, StepStatus, StepType
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.store import steps, transitions
from stitcherd.store.deliveries import NewDelivery
from stitcherd.store.jobs import NewJob
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store
from tests import stores
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness
from tests.stitcherd.store.factories import add_delivery, approval_request, new_delivery, new_job

pytestmark = pytest.mark.postgres

JOBS = 2000
SAMPLES = 50
LISTS = ("/deliveries?limit=200", "/answers", "/accounts", "/stats", "/stats?by=type")
FILTERS = ("q=state:failed", "q=state:pending", "repository=ACME/roof", "q=type:fix+%22the+roof%22")


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


def new_pair(number: int) -> tuple[NewDelivery, NewJob]:
    delivery = new_delivery(sender=f"forge:\0{number}", headers={"X-Odd": "\0"}, body=b'{"n":"\0"}' * (number % 50))
    approval = approval_request() if number % 10 == 0 else None
    job = new_job(
        actor="source:forge",
        delivery_id=delivery.id,
        repository=f"acme/{'Roof' if number % 3 else 'cellar'}",
        prompt=f"mend\0 the roof {number}",
        approval=approval,
    )
    return delivery, job


async def fill(state: Path) -> list[str]:
    """Add jobs to the store in a state directory that ended, or wait for an approval; return their ids."""
    store = await open_sqlite(state / "stitcher.db")
    pairs = [new_pair(number) for number in range(JOBS)]
    for first in range(0, JOBS, 250):
        batch = pairs[first : first + 250]
        await asyncio.gather(*(add_delivery(store, *pair) for pair in batch))
        await asyncio.gather(*(end(store, job, at) for at, (_, job) in enumerate(batch) if job.approval is None))
    await store.close()
    for number, (_, job) in enumerate(pairs[:: JOBS // SAMPLES]):
        log_path(state, job.id, 1, 1).parent.mkdir(parents=True)
        log_path(state, job.id, 1, 1).write_bytes(b"%d\0\xff\n" % number * 9000 * (number % 10))
        raw_log_path(state, job.id, 1, 1).write_bytes(b"{}\n")
        prompts_path(state, job.id, 1, 1).write_bytes(b'{"offset":0,"text":"do it"}\n')
        diff_path(state, job.id, 1).write_bytes(b"+line\n" * (number % 3))
    return [job.id for _, job in pairs]


async def end(store: Store, job: NewJob, number: int) -> None:
    now = now_ms()
    started = await store.write(transitions.start, job.id, 1, "me", now)
    assert started is not None
    fence = started[1]
    place = await store.write(
        steps.open_step,
        fence,
        now,
        phase=Phase.EXECUTION,
        type_=StepType.AI_ACTION,
        name="agent",
        number=1,
        start=steps.TryStart(),
    )
    status = StepStatus.COMPLETED
    await store.write(steps.close_step, fence, place, now, status=status, exit_code=0, output="said\0", output_bytes=5)
    result = Failure("gates_failed", "no", None) if number % 4 == 0 else Result(None, 0, 0, 0, "done")
    await store.write(transitions.conclude, job.id, (1, "me"), now, result)


def answers(daemon: DaemonHarness, ids: list[str]) -> dict[str, Any]:
    """Return what the daemon answers about jobs and all that belongs to them, and about its lists."""
    found: dict[str, Any] = {}
    for path in LISTS:
        reply = daemon.get(path)
        found[path] = reply.get("items", reply)
    for query in ("", *FILTERS):
        page: dict[str, Any] = {"next": None}
        while query not in found or page["next"]:
            before = f"&before={page['next']}" if page["next"] else ""
            page = daemon.get(f"/runner-jobs?limit=500&{query}{before}")
            found.setdefault(query, []).extend(page["items"])
    for job_id in ids:
        job = daemon.job(job_id)
        found[job_id] = job
        paths = [f"/runner-jobs/{job_id}/{name}" for name in ("events", "diff")]
        paths += [f"/deliveries/{job['deliveryId']}{name}" for name in ("", "/body")] if job["deliveryId"] else []
        for step in job["steps"]:
            paths += [f"/runner-jobs/{job_id}/steps/{step['id']}/{name}" for name in ("log", "log?raw=true")]
            paths.append(f"/runner-jobs/{job_id}/steps/{step['id']}/conversation")
        for path in paths:
            reply = daemon.request("GET", path)
            found[path] = reply.status, reply.body
    return found


def without_nul(found: dict[str, Any]) -> dict[str, Any]:
    """Return answers as both databases give them: PostgreSQL has no NUL in texts, but keeps it in JSON and in bytes."""
    same: dict[str, Any] = {}
    for name, each in found.items():
        if not isinstance(each, tuple):
            same[name] = json.loads(json.dumps(each).replace("\\u0000", "\\ufffd"))
        elif name.endswith(("log", "log?raw=true", "body", "diff", "conversation")):
            same[name] = each
        else:
            same[name] = each[0], each[1].replace(b"\\u0000", "\ufffd".encode())
    return same


def test_a_daemon_on_the_copy_answers_as_the_one_before(build: BuildDaemon) -> None:
    daemon, second = build(), build()
    daemon._pieces["store"] = ""  # its state is a SQLite file
    daemon.start()
    real = [daemon.run("fix", "echo x > made; echo said")["id"], daemon.run("lenient", "touch broken")["id"]]
    daemon.stop()
    ids = [*real, *asyncio.run(fill(daemon.state))[:: JOBS // SAMPLES]]
    daemon.start()
    expected = without_nul(answers(daemon, ids))
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
    found = without_nul(answers(second, ids))
    assert {name for name in expected if found[name] != expected[name]} == set()
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
