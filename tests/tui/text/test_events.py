"""Events as text: what a job is doing, and the line of an event."""

from typing import Any

import msgspec
import pytest

from shared.models import JobEvent
from tests.tui import documents
from tui.text.events import activity, event_colour, event_line


def event(type_: str, **payload: Any) -> JobEvent:
    return msgspec.convert(documents.event(1, type_, **payload), JobEvent)


@pytest.mark.parametrize(
    ("type_", "payload", "text"),
    [
        ("step.started", {"name": "agent", "try": 2}, "agent (try 2)"),
        ("step.started", {"name": "tests", "phase": "VALIDATION"}, "gate tests"),
        ("gate.failed", {"name": "tests"}, "gate tests failed"),
        ("ai.tool_called", {"tool": "exec\x1b"}, "exec"),
        ("step.output", {"text": "one\ntwo\n"}, "two"),
        ("job.started", {}, ""),
    ],
)
def test_an_event_tells_what_its_job_is_doing(type_: str, payload: dict[str, Any], text: str) -> None:
    assert activity(event(type_, **payload)) == text


def test_a_line_has_time_job_type_and_payload() -> None:
    line = event_line(event("job.waiting", guards=["a", "b"], note=None, text="two\nlines"), with_job=True)
    assert "".join(text for text, _ in line).split() == [
        "14:02:11.284", "7f3a1c9d", "job.waiting", "guards=a,b", "text=two", "lines"]  # fmt: skip
    output = event_line(event("step.output", text="one  \x1b[2J\n"), with_job=False)
    assert [text.strip() for text, _ in output] == ["14:02:11.284", "step.output", "one \\x1b[2J"]


@pytest.mark.parametrize(("type_", "colour"), [("job.failed", "red"), ("gate.passed", "green"), ("step.output", "dim"), ("job.started", "")])  # fmt: skip  # noqa: E501
def test_colours(type_: str, colour: str) -> None:
    assert event_colour(event(type_)) == colour
