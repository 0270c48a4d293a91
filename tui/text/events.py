"""Events in words: what a row says of its latest one, and the line that an event is in a list."""

from typing import Any

from shared import ids
from shared.models import JobEvent
from tui.text.jobs import DASH
from tui.text.plain import plain
from tui.text.times import time_of_day

COLOURS = {"failed": "red", "denied": "red", "tool_denied": "red", "rejected": "red", "cancelled": "yellow",
           "waiting": "yellow", "completed": "green", "passed": "green", "approved": "green"}  # fmt: skip

_TELLING = ("text", "message", "detail", "tool", "name", "reason", "trigger")


def activity(event: JobEvent) -> str:
    """Return what a running job is at, from one of its events; empty where that would say nothing new."""
    kind, _, what = event.type.partition(".")
    payload = event.payload
    if event.type == "step.started":
        number = f" (try {payload['try']})" if payload.get("try") else ""
        return plain(f"{_name(event)}{number}")
    if kind == "gate" and what == "failed":
        return plain(f"gate {_name(event)} failed")
    if event.type in {"step.progress", "ai.tool_called", "ai.tool_denied"}:
        return plain(_first(payload))
    return ""


def event_colour(event: JobEvent) -> str:
    """Return the colour of an event's kind; empty for the ordinary ones."""
    return COLOURS.get(event.type.partition(".")[2], "dim" if event.type == "step.output" else "")


def payload_text(payload: dict[str, Any]) -> str:
    """Return a payload as `key=value` words on one plain line."""
    return plain(" ".join(f"{key}={_value(value)}" for key, value in payload.items() if value is not None))


def event_line(event: JobEvent, *, with_job: bool) -> list[tuple[str, str]]:
    """Return an event as pieces of (text, style): time, job, kind and payload."""
    subject = ids.short_id(event.job_id) if event.job_id else DASH
    output = event.payload.get("text") if event.type == "step.output" else None
    said = payload_text(event.payload) if output is None else plain(" ".join(str(output).split()))
    return [
        (f"{time_of_day(plain(event.timestamp))}  ", "dim"),
        *([(f"{plain(subject):8}  ", "")] if with_job else []),
        (f"{plain(event.type):17}", event_colour(event)),
        (f" {said}", ""),
    ]


def _value(value: Any) -> str:
    """Return a value in words: a list of words as they are, all else as it is spelled."""
    words = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return " ".join((",".join(value) if words else str(value)).split())


def _name(event: JobEvent) -> str:
    name = str(event.payload.get("name", ""))
    return f"gate {name}" if event.payload.get("phase") == "VALIDATION" and event.type == "step.started" else name


def _first(payload: dict[str, Any]) -> str:
    said = next((str(payload[key]) for key in _TELLING if payload.get(key)), "")
    return " ".join(said.split())
