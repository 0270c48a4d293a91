"""What a running attempt writes as it goes: tries, steps and events, each fenced by attempt and owner."""

import sqlite3
from typing import Any

from msgspec import Struct

from shared.ids import new_id
from shared.models import Phase, StepStatus, StepType, Usage
from stitcherd.store import limits, rows
from stitcherd.store.events import add_event

STEP_OUTPUT_MAX = 4096  # bytes of a step's output that stand in its row; the whole is in its log


class Superseded(Exception):
    """The job is no longer this attempt's: it was ended or taken over; whoever runs it must stop."""


class Fence(Struct, frozen=True):
    """What must still be true of a job for its runner to write: the attempt's number and its owner."""

    job_id: str
    key: int
    workspace: str
    attempt: int
    owner: str


class StepPlace(Struct, frozen=True):
    """Where a step stands in its attempt, and the try that it belongs to."""

    id: str
    ordinal: int
    number: int | None
    name: str
    gate: bool


def begin_try(
    db: sqlite3.Connection,
    mine: Fence,
    number: int,
    now: int,
    base: str | None = None,
    *,
    resumable: bool = False,
) -> None:
    """Write down that the executor is about to be started; raise Superseded if it must not be.

    The primary key of `starts` makes a second start of the same (job, attempt, try) impossible.
    """
    _check_fence(db, mine)
    row = (mine.key, mine.attempt, number, now, base, resumable)
    db.execute("INSERT INTO starts (job, attempt, try, at, base, resumable) VALUES (?, ?, ?, ?, ?, ?)", row)
    db.execute("UPDATE jobs SET tries_used = ?, version = version + 1 WHERE key = ?", (number, mine.key))


def save_reference(db: sqlite3.Connection, mine: Fence, number: int, reference: dict[str, str]) -> None:
    """Keep what the executor needs to find the run of this try again."""
    _check_fence(db, mine)
    db.execute(
        "UPDATE starts SET reference = ? WHERE job = ? AND attempt = ? AND try = ?",
        (rows.encode(reference), mine.key, mine.attempt, number),
    )


def open_step(
    db: sqlite3.Connection,
    mine: Fence,
    now: int,
    *,
    phase: Phase,
    type_: StepType,
    name: str,
    number: int | None,
) -> StepPlace:
    """Add a running step behind those the attempt has; `number` is the try it belongs to."""
    _check_fence(db, mine)
    place = StepPlace(new_id(), _next_ordinal(db, mine), number, name, type_ is StepType.GATE)
    db.execute(
        "INSERT INTO steps (id, job, attempt, try, ordinal, phase, type, name, status, started_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'RUNNING', ?)",
        (place.id, mine.key, mine.attempt, number, place.ordinal, phase, type_, name, now),
    )
    happened = {"name": name, "try": number, "phase": phase}
    _add_job_event(db, mine, "step.started", now, place.id, happened)
    if place.gate:
        _add_job_event(db, mine, "gate.started", now, place.id, happened)
    return place


def close_step(
    db: sqlite3.Connection,
    mine: Fence,
    place: StepPlace,
    now: int,
    *,
    status: StepStatus,
    exit_code: int | None,
    output: str,
    output_bytes: int,
    reason: str | None = None,
) -> None:
    """End a running step; a step that was ended by someone else stays as it is."""
    changed = db.execute(
        "UPDATE steps SET status = ?, exit_code = ?, output = ?, output_bytes = ?, completed_at = ?"
        " WHERE id = ? AND status = 'RUNNING'",
        (status, exit_code, output, output_bytes, now, place.id),
    ).rowcount
    if not changed:
        return
    happened = {"name": place.name, "exitCode": exit_code, "reason": reason}
    _add_job_event(db, mine, f"step.{status.lower()}", now, place.id, happened)
    if place.gate and status is not StepStatus.SKIPPED:
        _add_job_event(
            db,
            mine,
            "gate.passed" if status is StepStatus.COMPLETED else "gate.failed",
            now,
            place.id,
            happened,
        )


def fail_open_steps(db: sqlite3.Connection, job: sqlite3.Row, now: int, why: str) -> None:
    """Mark the steps that were cut off as failed, so that none runs for ever."""
    cut = db.execute(
        "UPDATE steps SET status = 'FAILED', completed_at = ? WHERE job = ? AND status = 'RUNNING' RETURNING id, name",
        (now, job["key"]),
    ).fetchall()
    for step in cut:
        add_event(
            db,
            "step.failed",
            actor="stitcherd",
            now=now,
            job=job["key"],
            step=step["id"],
            workspace=job["workspace"],
            payload={"name": step["name"], "reason": why},
        )


def record_event(
    db: sqlite3.Connection, mine: Fence, type_: str, now: int, step: str | None, payload: dict[str, Any]
) -> None:
    """Note something that happened inside the attempt; raise Superseded if the attempt is over."""
    _check_fence(db, mine)
    _add_job_event(db, mine, type_, now, step, payload)


def add_usage(
    db: sqlite3.Connection,
    mine: Fence,
    place: StepPlace,
    used: Usage,
    now: int,
    reference: dict[str, str] | None = None,
) -> None:
    """Add what an executor used to its step and to the job; a new reference is kept with it, or neither is."""
    _check_fence(db, mine)
    if reference is not None:
        save_reference(db, mine, place.number or 0, reference)
    stored = db.execute("SELECT usage FROM jobs WHERE key = ?", (mine.key,)).fetchone()["usage"]
    before = rows.usage(stored)
    total = Usage(
        before.input_tokens + used.input_tokens,
        before.output_tokens + used.output_tokens,
        round(before.cost_usd + used.cost_usd, 6),
        before.turns + used.turns,
    )
    db.execute("UPDATE jobs SET usage = ?, version = version + 1 WHERE key = ?", (rows.encode(total), mine.key))
    db.execute(
        "UPDATE steps SET tokens_input = coalesce(tokens_input, 0) + ?,"
        " tokens_output = coalesce(tokens_output, 0) + ? WHERE id = ?",
        (used.input_tokens, used.output_tokens, place.id),
    )
    limits.add_spending(db, (mine.key, mine.attempt, place.number or 0), used, now)
    _add_job_event(db, mine, "ai.tokens_used", now, place.id, rows.to_payload(used))


def _check_fence(db: sqlite3.Connection, mine: Fence) -> None:
    row = db.execute(
        "SELECT 1 FROM jobs WHERE key = ? AND status = 'RUNNING' AND attempt = ? AND owner = ?",
        (mine.key, mine.attempt, mine.owner),
    ).fetchone()
    if row is None:
        raise Superseded(f"attempt {mine.attempt} of job {mine.job_id} is over")


def _next_ordinal(db: sqlite3.Connection, mine: Fence) -> int:
    row = db.execute(
        "SELECT coalesce(max(ordinal), 0) + 1 FROM steps WHERE job = ? AND attempt = ?",
        (mine.key, mine.attempt),
    ).fetchone()
    return int(row[0])


def _add_job_event(
    db: sqlite3.Connection, mine: Fence, type_: str, now: int, step: str | None, payload: dict[str, Any]
) -> None:
    db.execute("UPDATE jobs SET last_event = ?, version = version + 1 WHERE key = ?", (type_, mine.key))
    add_event(
        db,
        type_,
        actor="stitcherd",
        now=now,
        job=mine.key,
        step=step,
        workspace=mine.workspace,
        payload=payload,
    )
