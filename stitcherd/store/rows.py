"""Converts rows to the nouns of the API, and values to what is stored."""

from typing import Any

import msgspec

from shared.api import Answer
from shared.deliveries import Delivery, Via
from shared.ids import branch_name, format_timestamp, revision_name
from shared.models import (
    AnswerState,
    CurrentStep,
    Decision,
    Failure,
    JobEvent,
    JobStep,
    Phase,
    Result,
    RunnerJob,
    Start,
    Status,
    StepStatus,
    StepType,
    Thread,
    Tries,
    Usage,
    Verdict,
)
from stitcherd.store.db import Row

SUFFIX_LENGTH = 12  # characters of an id that are stored reversed, to find it by its end

_CONVERTED = {"workspace_id", "received_at", "thread", "headers", "verdict", "via", "decision"}
_SAME_IN_DELIVERY = tuple(name for name in Delivery.__struct_fields__ if name not in _CONVERTED)


def reversed_suffix(identifier: str) -> str:
    """Return the end of an id, reversed, so that all ids with the same suffix are in one range of an index."""
    return identifier[-SUFFIX_LENGTH:][::-1]


def encode(value: Any) -> str:
    """Return a value as the JSON text that is stored."""
    return msgspec.json.encode(value).decode()


def _as_dict(row: Row) -> dict[str, Any]:
    """Return a row as a dictionary: each look-up in a Row compares the name with all columns before it."""
    return dict(zip(row.keys(), row, strict=True))


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else format_timestamp(milliseconds)


def job(found: Row) -> RunnerJob:
    """Return a job as lists show it, without its texts."""
    row = _as_dict(found)
    thread = None
    if row["thread_number"] is not None:
        thread = Thread(
            row["thread_kind"],
            row["thread_number"],
            row["thread_title"] or "",
            row["thread_url"],
            row["thread_author"],
        )
    error = row["error"]
    return RunnerJob(
        id=row["id"],
        workspace_id=row["workspace"],
        agent_task_id=row["agent_task_id"],
        type=row["type"],
        status=Status(row["status"]),
        priority=row["priority"],
        profile=row["profile"],
        executor=row["executor"],
        repository=row["repository"],
        ref=row["ref"],
        thread=thread,
        attempt=row["attempt"],
        tries=Tries(row["tries_used"], row["tries_max"]),
        error=msgspec.json.decode(error, type=Failure) if error else None,
        usage=usage(row["usage"]),
        rails_revision=revision_name(row["rails_digest"]),
        rails_digest=row["rails_digest"],
        delivery_id=row["delivery_id"],
        branch=branch_name(row["id"]),
        actor=row["actor"],
        created_at=format_timestamp(row["created_at"]),
        queued_at=_time(row["queued_at"]),
        started_at=_time(row["started_at"]),
        completed_at=_time(row["completed_at"]),
        cancel_requested=bool(row["cancel_requested"]),
        version=row["version"],
        last_event=row["last_event"],
        held=row["held"] if row["status"] == Status.QUEUED else None,
        target=row["target"],
        head_sha=row["head_sha"],
        start=Start(row["start_ref"], row["start_sha"], row["gate_base"]) if row["start_ref"] else None,
        current_step=msgspec.json.decode(row["current_step"], type=CurrentStep) if row["current_step"] else None,
        last_line=row["last_line"],
        worker=row["worker"] if row["status"] == Status.RUNNING else None,
    )


def usage(text: str | None) -> Usage:
    """Return stored usage, zero for None."""
    return msgspec.json.decode(text, type=Usage) if text else Usage()


def to_payload(value: Any) -> dict[str, Any]:
    """Return a struct as the payload of an event."""
    found: dict[str, Any] = msgspec.to_builtins(value)
    return found


def result(text: str | None) -> Result | None:
    """Return a stored result, None for None."""
    return msgspec.json.decode(text, type=Result) if text else None


def decision(text: str | None) -> Decision | None:
    """Return a stored decision, None for None."""
    return msgspec.json.decode(text, type=Decision) if text else None


def step(row: Row, job_id: str) -> JobStep:
    """Return a step of the job with this id."""
    started, completed = row["started_at"], row["completed_at"]
    return JobStep(
        id=row["id"],
        job_id=job_id,
        attempt=row["attempt"],
        try_=row["try"],
        ordinal=row["ordinal"],
        phase=Phase(row["phase"]),
        type=StepType(row["type"]),
        name=row["name"],
        status=StepStatus(row["status"]),
        exit_code=row["exit_code"],
        output=row["output"],
        output_bytes=row["output_bytes"],
        tokens_input=row["tokens_input"],
        tokens_output=row["tokens_output"],
        started_at=_time(started),
        completed_at=_time(completed),
        duration_ms=completed - started if started is not None and completed is not None else None,
    )


def event(row: Row) -> JobEvent:
    """Return an event; the row has the job's public id as `job_id`."""
    return JobEvent(
        id=row["id"],
        job_id=row["job_id"],
        step_id=row["step"],
        type=row["type"],
        actor=row["actor"],
        timestamp=format_timestamp(row["at"]),
        payload=msgspec.json.decode(row["payload"]),
        hash=row["hash"].hex() if row["hash"] else None,
    )


def delivery(found: Row) -> Delivery:
    """Return a delivery as lists show it, without its decision and body."""
    row = _as_dict(found)
    thread = row["thread"]
    return Delivery(
        **{name: row[name] for name in _SAME_IN_DELIVERY},
        workspace_id=row["workspace"],
        received_at=format_timestamp(row["received_at"]),
        thread=msgspec.json.decode(thread, type=Thread) if thread else None,
        headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
        verdict=Verdict(row["verdict"]),
        via=Via(row["via"]),
    )


def answer(row: Row) -> Answer:
    """Return an answer."""
    state, error = AnswerState(row["state"]), row["error"]
    return Answer(
        id=row["id"],
        source=row["source"],
        kind=row["kind"],
        repository=row["repository"],
        slot=row["slot"],
        job_id=row["job_id"],
        delivery_id=row["delivery_id"],
        state=state,
        url=row["url"],
        tries=row["tries"],
        due_at=format_timestamp(row["due_at"]) if state is AnswerState.PENDING else None,
        error=msgspec.json.decode(error, type=Failure) if error else None,
        created_at=format_timestamp(row["created_at"]),
    )
