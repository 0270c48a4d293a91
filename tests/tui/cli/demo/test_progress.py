"""The progress of the demo's job."""

from typing import Any

import msgspec

from shared.models import JobEvent, JobStep
from tests.tui import documents
from tests.tui.fake_api import FakeApi
from tui.cli.demo.progress import ProgressFormatter, follow_job
from tui.client.http import DaemonClient


def test_output_is_joined_to_lines_and_each_step_is_reported() -> None:
    def step(*given: Any, **more: Any) -> JobStep:
        return msgspec.convert(documents.step(*given, **more), JobStep)

    def events(*given: Any) -> list[JobEvent]:
        return [msgspec.convert(documents.event(n, *one[:2], **one[2]), JobEvent) for n, one in enumerate(given)]

    agent_step = step(2, "agent", type="AI_ACTION", phase="EXECUTION", status="RUNNING", durationMs=None, **{"try": 1})
    formatter = ProgressFormatter(lambda text, _colour: text)
    first = events(
        ("job.started", None, {}),
        ("step.started", "step-2", {}),
        ("step.output", "step-2", {"text": "one\ntw"}),
        ("step.output", "step-2", {"text": "o\x1b\nthree"}),
    )
    assert list(formatter.lines(first, [agent_step])) == [
        "try 1     agent starts",
        "          | one",
        "          | two\\x1b",
    ]
    done = step(2, "agent", type="AI_ACTION", phase="EXECUTION", durationMs=1500, **{"try": 1})
    gate = step(3, "tests", type="GATE", status="FAILED", exitCode=1, output="a\n\nFAILED\n", **{"try": 1})
    second = events(
        ("step.completed", "step-2", {}),
        ("step.output", "step-3", {"text": "a\n"}),
        ("step.failed", "step-3", {}),
        ("gate.failed", "step-3", {}),
    )
    assert list(formatter.lines(second, [done, gate])) == [
        "          | three",
        "try 1     agent ✓ completed in 1.5s",
        "try 1     gate tests ✗ failed, exit 1 in 1.1s",
        "          | a",
        "          | FAILED",
    ]


def test_follow_job_ends_with_the_job(api: FakeApi) -> None:
    path = f"GET /runner-jobs/{documents.JOB}"
    api.answers[path] = (200, documents.job(steps=[documents.step(1, "checkout")]))
    api.answers[f"{path}/events"] = (200, {"items": [documents.event(7, "step.completed", "step-1")], "next": None})
    lines: list[str] = []

    def write(line: str) -> None:
        lines.append(line)
        api.answers[f"{path}/events"] = (200, {"items": [], "next": None})

    job = follow_job(DaemonClient(api.path), documents.JOB, write, lambda text, _colour: text)
    assert job.id == documents.JOB
    assert lines == ["   setup     checkout ✓ completed in 1.1s", "   The job is COMPLETED, after 2m40s and 2 tries."]
    assert any("after=7&" in request for request, _ in api.requests)
