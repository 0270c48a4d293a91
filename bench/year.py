"""The size of the database over a year, with retention: a tenth of 1,000 jobs a day, written by the store's functions."""

import asyncio
import tempfile
import time
from argparse import Namespace
from pathlib import Path
from random import randbytes
from typing import Any

from shared.ids import new_id, now_ms
from shared.models import (
    Check,
    CheckOutcome,
    Decision,
    Phase,
    Result,
    StepStatus,
    StepType,
    Thread,
    Usage,
    Verdict,
)
from stitcherd.config.settings import RetentionSettings
from stitcherd.jobs import retention
from stitcherd.store import deliveries, steps, transitions
from stitcherd.store.db import Db
from stitcherd.store.jobs import NewJob
from stitcherd.store.sqlite import open_sqlite

DAY = 86_400_000
DAYS = 365
JOBS_A_DAY = 100
SCALE = 10  # to 1,000 a day
DELIVERIES_A_JOB = 3  # of which one leads to the job, and the others are ignored
BODY_BYTES = 8_000
INCOMPRESSIBLE_BYTES = 1_350  # of a body: those of GitHub, GitLab and Gitea are compressed to 17 %
OUTPUT_EVENTS = 20  # of a job
SHOWN = (90, 180, 270, 365)
STEPS = (
    (Phase.SETUP, StepType.COMMAND, "checkout", 200),
    (Phase.SETUP, StepType.COMMAND, "prepare", 2_000),
    (Phase.EXECUTION, StepType.AI_ACTION, "agent", 4_096),
    (Phase.VALIDATION, StepType.ARTIFACT, "commit", 100),
    (Phase.VALIDATION, StepType.GATE, "tests", 4_096),
    (Phase.VALIDATION, StepType.GATE, "lint", 500),
    (Phase.CLEANUP, StepType.COMMAND, "publish", 100),
)
DECISION = Decision(
    Verdict.ALLOWED,
    "trigger fix-on-command",
    "r-0123abcd",
    "0" * 64,
    trigger="fix-on-command",
    checks=tuple(
        Check(f"check-{n}", "guard", CheckOutcome.PASS, n, "what was seen", "what was wanted") for n in range(12)
    ),
)
IGNORED = Decision(Verdict.IGNORED, "no trigger wants issues.opened", "r-0123abcd", "0" * 64)


def measure(_options: Namespace) -> list[dict[str, Any]]:
    retention.BATCH_PAUSE_SECONDS = 0.0
    return asyncio.run(_measured())


async def _measured() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="stitcher-bench-") as place:
        path = Path(place) / "stitcher.db"
        store = await open_sqlite(path)
        began, spent, rows = now_ms() - DAYS * DAY, 0.0, []
        for day in range(1, DAYS + 1):
            await store.write(_write_day, began + day * DAY)
            started = time.perf_counter()
            await retention.remove_rows(store, RetentionSettings(), began + (day + 1) * DAY)
            spent += time.perf_counter() - started
            if day in SHOWN:
                size = path.stat().st_size / 2**20
                rows.append(
                    {
                        "row": f"after {day} days",
                        "MB": round(size),
                        "MB_at_1000_a_day": round(size * SCALE),
                        "retention_ms_a_day": round(spent / day * 1000),
                    }
                )
        await store.close()
        return rows


def _write_day(db: Db, at: int) -> None:
    for number in range(JOBS_A_DAY):
        _write_job(db, at + number * DAY // JOBS_A_DAY)


def _write_job(db: Db, at: int) -> None:
    for _ in range(DELIVERIES_A_JOB - 1):
        deliveries.add_deliveries(db, [(_delivery(at, IGNORED), None)])
    received = _delivery(at, DECISION)
    job = _job(received.id)
    deliveries.add_deliveries(db, [(received, job)])
    started = transitions.start(db, job.id, 1, "bench", at)
    assert started is not None
    fence = started[1]
    steps.begin_try(db, fence, 1, at, steps.TryStart())
    for phase, type_, name, size in STEPS:
        place = steps.open_step(db, fence, at, phase=phase, type_=type_, name=name, number=1)
        if type_ is StepType.AI_ACTION:
            for output in range(OUTPUT_EVENTS):
                payload = {"offset": output * 400, "length": 400, "text": "x" * 400}
                steps.record_output(db, fence, at, place.id, payload, "the last line")
            steps.add_usage(db, fence, place, Usage(20_000, 1_000, 0.1, 12), at)
        text = "x" * size
        steps.close_step(db, fence, place, at, status=StepStatus.COMPLETED, exit_code=0, output=text, output_bytes=size)
    transitions.conclude(db, job.id, (1, "bench"), at, Result("0" * 40, 3, 34, 6, "what was done " * 20))


def _delivery(at: int, decision: Decision) -> deliveries.NewDelivery:
    identifier = new_id()
    return deliveries.NewDelivery(
        id=identifier,
        source="github",
        kind="github",
        workspace="default",
        external_id=identifier,
        received_at=at,
        event="issue_comment",
        action="created",
        trigger="issue.comment",
        sender="github:octocat",
        repository="octo-org/api",
        thread=Thread("issue", 479, "A row is lost", "https://github.com/octo-org/api/issues/479", "github:octocat"),
        body=randbytes(INCOMPRESSIBLE_BYTES) + b"x" * (BODY_BYTES - INCOMPRESSIBLE_BYTES),
        body_sha256=identifier,
        secret=1,
        headers={"X-GitHub-Event": "issue_comment", "User-Agent": "GitHub-Hookshot/1234567"},
        actor="source:github/octocat",
        decision=decision,
        subject=f"comment:{identifier}",
    )


def _job(delivery: str) -> NewJob:
    return NewJob(
        id=new_id(),
        workspace="default",
        type="fix",
        profile="weaver",
        executor="agent",
        priority=5,
        repository="octo-org/api",
        ref="main",
        thread=Thread("issue", 479, "A row is lost", "https://github.com/octo-org/api/issues/479", "github:octocat"),
        prompt="x" * 3_000,
        metadata={},
        tries_max=3,
        on_interrupt="fail",
        rails_digest="0" * 64,
        actor="source:github/octocat",
        origin={"trigger": "fix-on-command"},
        delivery_id=delivery,
    )
