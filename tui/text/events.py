"""Text for events: what a job is doing, according to its last event, and the line of an event in a list."""

from typing import Any

from shared import ids
from shared.models import JobEvent
from shared.output import activity_line
from tui.text.jobs import DASH
from tui.text.plain import plain
from tui.text.times import time_of_day

_COLOURS = {"failed": "red", "denied": "red", "tool_denied": "red", "rejected": "red", "cancelled": "yellow",
            "waiting": "yellow", "completed": "green", "passed": "green", "approved": "green"}  # fmt: skip


def activity(event: JobEvent) -> str:
    """Return what a running job is doing, according to an event; empty if the event says nothing about it."""
    family, _, what = event.type.partition(".")
    payload = event.payload
    if event.type == "step.started":
        number = f" (try {payload['try']})" if payload.get("try") else ""
        return plain(f"{_subject(event)}{number}")
    if family == "gate" and what == "failed":
        return plain(f"gate {_subject(event)} failed")
    return plain(activity_line(event.type, payload) or "")


def event_colour(event: JobEvent) -> str:
    """Return the colour for an event's type; empty for most."""
    return _COLOURS.get(event.type.partition(".")[2], "dim" if event.type == "step.output" else "")


def payload_text(payload: dict[str, Any]) -> str:
    """Return a payload as `key=value` words on one plain line."""
    return plain(" ".join(f"{key}={_value(value)}" for key, value in payload.items() if value is not None))


def event_line(event: JobEvent, *, with_job: bool) -> list[tuple[str, str]]:
    """Return an event as (text, style) pairs: time, job, type and payload."""
    subject = ids.short_id(event.job_id) if event.job_id else DASH
    output = event.payload.get("text") if event.type == "step.output" else None
    details = payload_text(event.payload) if output is None else plain(" ".join(str(output).split()))
    return [
        (f"{time_of_day(plain(event.timestamp))}  ", "dim"),
        *([(f"{plain(subject):8}  ", "")] if with_job else []),
        (f"{plain(event.type):17}", event_colour(event)),
        (f" {details}", ""),
    ]


def _value(value: Any) -> str:
    """Return a value on one line; a list of strings is joined with commas."""
    strings = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return " ".join((",".join(value) if strings else str(value)).split())


def _subject(event: JobEvent) -> str:
    name = str(event.payload.get("name", ""))
    return f"gate {name}" if event.payload.get("phase") == "VALIDATION" and event.type == "step.started" else name
