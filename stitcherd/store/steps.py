"""Tries, steps, usage and events that a running attempt writes, each fenced by attempt and owner."""

from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct

from shared.ids import format_timestamp, new_id
from shared.models import CurrentStep, Failure, Phase, RunnerJob, Start, StepStatus, StepType, Usage
from stitcherd import metrics
from stitcherd.store import counting, limits, rows
from stitcherd.store.after_commit import after_commit
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import fetch_all

STEP_OUTPUT_MAX = 4096  # bytes of a step's output that its row holds; its log file has all of it

_FENCED = "SELECT 1 FROM jobs WHERE key = ? AND status = 'RUNNING' AND attempt = ? AND owner = ?"

CHECKOUT_STEP = "checkout"  # the first of an attempt


class Superseded(Exception):
    """The job no longer belongs to this attempt: it has ended or was taken over, and its runner must stop."""


class Fence(Struct, frozen=True):
    """The attempt and the owner that a job must still have for its runner to write."""

    job_id: str
    key: int
    workspace: str
    attempt: int
    owner: str


class TryStart(Struct, frozen=True):
    """The start of an executor on a checkout of `base`; `resumable` says that it gives a reference before it begins."""

    base: str | None = None
    resumable: bool = False


class StepPlace(Struct, frozen=True):
    """The place of a step in its attempt; `number` is the try that it belongs to."""

    id: str
    ordinal: int
    number: int | None
    name: str
    gate: bool


class Claimed(Struct, frozen=True):
    """A job that runs now, its prompt, and its first step, which has begun; None for one that is not started anew."""

    job: RunnerJob
    fence: Fence
    prompt: str
    first_step: StepPlace | None = None


def check_fence(db: Db, fence: Fence) -> None:
    """Raise Superseded unless the job runs, in the attempt and for the owner of the fence."""
    if db.execute(_FENCED, (fence.key, fence.attempt, fence.owner)).fetchone() is None:
        raise _superseded(fence)


async def read_fence(db: Reader, fence: Fence) -> None:
    """Raise Superseded unless the job runs, in the attempt and for the owner of the fence, as far as is stored now."""
    if not await fetch_all(db, _FENCED, (fence.key, fence.attempt, fence.owner)):
        raise _superseded(fence)


def begin_try(db: Db, fence: Fence, number: int, now: int, start: TryStart) -> None:
    """Record that the executor is about to be started; raise Superseded if it must not be.

    The primary key of `starts` makes a second start of the same (job, attempt, try) impossible.
    """
    check_fence(db, fence)
    row = (fence.key, fence.attempt, number, now, start.base, start.resumable)
    db.execute("INSERT INTO starts (job, attempt, try, at, base, resumable) VALUES (?, ?, ?, ?, ?, ?)", row)
    after_commit(metrics.TRIES.labels("first" if number == 1 else "later").inc)
    db.execute("UPDATE jobs SET tries_used = ?, version = version + 1 WHERE key = ?", (number, fence.key))


def save_start(db: Db, fence: Fence, start: Start) -> None:
    """Store what the checkout of the attempt starts from; raise Superseded."""
    check_fence(db, fence)
    db.execute(
        "UPDATE jobs SET start_ref = ?, start_sha = ?, gate_base = ?, version = version + 1 WHERE key = ?",
        (start.ref, start.sha, start.gate_base, fence.key),
    )


def save_reference(db: Db, fence: Fence, number: int, reference: dict[str, str]) -> None:
    """Store what the executor needs to find the run of this try again; raise Superseded."""
    check_fence(db, fence)
    db.execute(
        "UPDATE starts SET reference = ? WHERE job = ? AND attempt = ? AND try = ?",
        (rows.encode(reference), fence.key, fence.attempt, number),
    )


def open_step(
    db: Db,
    fence: Fence,
    now: int,
    *,
    phase: Phase,
    type_: StepType,
    name: str,
    number: int | None,
    timeout_ms: int | None = None,
    start: TryStart | None = None,
) -> StepPlace:
    """Add a running step after those of the attempt; `number` is the try that it belongs to. Raises Superseded.

    With a `start` the step is that of an executor, whose try begins with it.
    """
    check_fence(db, fence)
    if start is not None and number is not None:
        begin_try(db, fence, number, now, start)
    place = StepPlace(new_id(), _next_ordinal(db, fence), number, name, type_ is StepType.GATE)
    db.execute(
        "INSERT INTO steps (id, job, attempt, try, ordinal, phase, type, name, status, started_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'RUNNING', ?)",
        (place.id, fence.key, fence.attempt, number, place.ordinal, phase, type_, name, now),
    )
    payload = {"name": name, "try": number, "phase": phase}
    current = rows.encode(CurrentStep(name, type_, format_timestamp(now), timeout_ms))
    _add_job_event(db, fence, "step.started", now, place.id, payload, current_step=current, last_line=None)
    if place.gate:
        _add_job_event(db, fence, "gate.started", now, place.id, payload)
    return place


def close_step(
    db: Db,
    fence: Fence,
    place: StepPlace,
    now: int,
    *,
    status: StepStatus,
    exit_code: int | None,
    output: str,
    output_bytes: int,
    last_line: str | None = None,
    reason: str | None = None,
) -> None:
    """End a running step; one that has ended already is left unchanged."""
    step = db.execute(
        "UPDATE steps SET status = ?, exit_code = ?, output = ?, output_bytes = ?, last_line = ?, completed_at = ?"
        " WHERE id = ? AND status = 'RUNNING' RETURNING started_at, type",
        (status, exit_code, output, output_bytes, last_line, now, place.id),
    ).fetchone()
    if step is None:
        return
    duration = now - step["started_at"]
    after_commit(partial(metrics.count_step, step["type"], status, duration, place.name if place.gate else None))
    payload = {"name": place.name, "exitCode": exit_code, "reason": reason}
    _add_job_event(db, fence, f"step.{status.lower()}", now, place.id, payload, current_step=None, last_line=last_line)
    if place.gate and status is not StepStatus.SKIPPED:
        passed = status is StepStatus.COMPLETED
        _add_job_event(db, fence, "gate.passed" if passed else "gate.failed", now, place.id, payload)
        counting.count_gate(db, fence.key, place.name, passed=passed, duration=duration, now=now)


def end_open_steps(db: Db, job: Row, now: int, reason: str, status: StepStatus = StepStatus.FAILED) -> None:
    """End the steps that were interrupted, and record why, so that none is left running."""
    interrupted = db.execute(
        "UPDATE steps SET status = ?, completed_at = ? WHERE job = ? AND status = 'RUNNING' RETURNING id, name",
        (status, now, job["key"]),
    ).fetchall()
    for step in interrupted:
        add_events(
            db,
            new_event(
                f"step.{status.lower()}",
                actor="stitcherd",
                now=now,
                job=(job["key"], job["id"]),
                step=step["id"],
                workspace=job["workspace"],
                payload={"name": step["name"], "reason": reason},
            ),
        )


def record_event(
    db: Db,
    fence: Fence,
    type_: str,
    now: int,
    step: str | None,
    payload: dict[str, Any],
    last_line: str | None = None,
) -> None:
    """Record an event of the attempt and, where given, what the job says last; raise Superseded if it is over."""
    check_fence(db, fence)
    _add_job_event(db, fence, type_, now, step, payload, **({"last_line": last_line} if last_line else {}))


def record_output(db: Db, fence: Fence, now: int, step: str, payload: dict[str, Any], last_line: str | None) -> None:
    """Record output of a step, and what the job says last; nothing where the attempt is over: the log has it."""
    with suppress(Superseded):
        record_event(db, fence, "step.output", now, step, payload, last_line)


def failed_gate_line(db: Db, job: Row, failure: Failure) -> str | None:
    """Return the name and the last line of the first gate with one that a failure names; None where there is none."""
    if failure.code != "gates_failed":
        return None
    found = db.execute(
        "SELECT name, last_line FROM steps WHERE job = ? AND attempt = ? AND type = 'GATE' AND status = 'FAILED'"
        " AND last_line IS NOT NULL AND instr(?, name) > 0 ORDER BY coalesce(try, 0) DESC, ordinal LIMIT 1",
        (job["key"], job["attempt"], failure.detail),
    ).fetchone()
    return f"{found['name']}: {found['last_line']}" if found else None


def add_usage(
    db: Db,
    fence: Fence,
    place: StepPlace,
    used: Usage,
    now: int,
    reference: dict[str, str] | None = None,
) -> None:
    """Add the usage of an executor to its step, its job and the budgets, and store a new reference with it."""
    check_fence(db, fence)
    if reference is not None:
        save_reference(db, fence, place.number or 0, reference)
    stored = db.execute("SELECT usage FROM jobs WHERE key = ?", (fence.key,)).fetchone()["usage"]
    before = rows.usage(stored)
    total = Usage(
        before.input_tokens + used.input_tokens,
        before.output_tokens + used.output_tokens,
        round(before.cost_usd + used.cost_usd, 6),
        before.turns + used.turns,
    )
    db.execute("UPDATE jobs SET usage = ?, version = version + 1 WHERE key = ?", (rows.encode(total), fence.key))
    db.execute(
        "UPDATE steps SET tokens_input = coalesce(tokens_input, 0) + ?,"
        " tokens_output = coalesce(tokens_output, 0) + ? WHERE id = ?",
        (used.input_tokens, used.output_tokens, place.id),
    )
    counting.count_usage(db, fence.key, used, now)
    limits.add_spending(db, (fence.key, fence.attempt, place.number or 0), used, now)
    _add_job_event(db, fence, "ai.tokens_used", now, place.id, rows.to_payload(used))


def _next_ordinal(db: Db, fence: Fence) -> int:
    row = db.execute(
        "SELECT coalesce(max(ordinal), 0) + 1 FROM steps WHERE job = ? AND attempt = ?",
        (fence.key, fence.attempt),
    ).fetchone()
    return int(row[0])


def _add_job_event(
    db: Db,
    fence: Fence,
    type_: str,
    now: int,
    step: str | None,
    payload: dict[str, Any],
    **changes: str | None,
) -> None:
    """Record an event with what it changes of the job."""
    names = "".join(f", {name} = ?" for name in changes)
    db.execute(
        f"UPDATE jobs SET last_event = ?{names}, version = version + 1 WHERE key = ?",
        (type_, *changes.values(), fence.key),
    )
    add_events(
        db,
        new_event(
            type_,
            actor="stitcherd",
            now=now,
            job=(fence.key, fence.job_id),
            step=step,
            workspace=fence.workspace,
            payload=payload,
        ),
    )


def _superseded(fence: Fence) -> Superseded:
    return Superseded(f"attempt {fence.attempt} of job {fence.job_id} is over")
