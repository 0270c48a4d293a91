"""Steps on the timeline: waiting, execution and gates, attempt after attempt."""

from typing import Any

import msgspec
import pytest

from shared.models import RunnerJob
from tests.tui import documents
from tui.text.times import milliseconds
from tui.widgets.step_tree import job_steps, job_timeline, step_bar, step_nodes, timeline_axis

CROSS = "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}"


def _at(second: int) -> str:
    return f"2026-11-22T14:{second // 60:02}:{second % 60:02}.000Z"


def _step(number: int, phase: str, first: int, last: int | None, **more: Any) -> dict[str, Any]:
    done = {"completedAt": None if last is None else _at(last), "status": "COMPLETED" if last else "RUNNING"}
    step: dict[str, Any] = documents.step(number, phase, phase=phase, startedAt=_at(first), **{**done, **more})
    return step


def _job(steps: list[dict[str, Any]], **more: Any) -> RunnerJob:
    return msgspec.json.decode(msgspec.json.encode(documents.job(steps=steps, **more)), type=RunnerJob)


def _bars(job: RunnerJob, now: int, cells: int) -> list[str]:
    time = job_timeline(job, milliseconds(_at(now)))
    rows = [node for node in step_nodes(job_steps(job), ()) if node.step]
    return ["".join(text for text, _ in step_bar(node, time, cells, milliseconds(_at(now)))) for node in rows]


def test_waiting_execution_gates_and_failures_differ() -> None:
    steps = [
        _step(1, "SETUP", 10, 20),
        _step(2, "EXECUTION", 20, 30, **{"try": 1}),
        _step(3, "VALIDATION", 30, 40, status="FAILED", **{"try": 1}),
    ]
    job = _job(steps, status="FAILED", createdAt=_at(0), queuedAt=_at(0), startedAt=_at(10))
    assert _bars(job, 400, 8) == ["░░██    ", "    ██  ", f"      ▒{CROSS}"]


def test_the_time_between_attempts_is_not_drawn() -> None:
    steps = [
        _step(1, "SETUP", 10, 20),
        _step(1, "SETUP", 3010, 3020, attempt=2),
        _step(2, "EXECUTION", 3020, None, attempt=2, **{"try": 1}),
    ]
    job = _job(steps, status="RUNNING", attempt=2, createdAt=_at(0), queuedAt=_at(3000), startedAt=_at(3010))
    assert _bars(job, 3030, 10) == ["░░██      ", "    ░░██  ", "        ██"]
    time = job_timeline(job, milliseconds(_at(3030)))
    assert time.total == 50_000
    assert timeline_axis(time, 20).split() == ["0s", "25s"]


@pytest.mark.parametrize(("now", "bars"), [(10, []), (50, [])])
def test_a_job_without_steps_is_only_waiting(now: int, bars: list[str]) -> None:
    job = _job([], status="QUEUED", createdAt=_at(0), queuedAt=_at(0), startedAt=None)
    assert job_timeline(job, milliseconds(_at(now))).total == now * 1000
    assert _bars(job, now, 10) == bars
