"""Runs the real Gemini CLI against a scripted model: events, usage to the token, budgets, denials, failures."""

from pathlib import Path

import pytest

from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult
from tests.agents.apis import INPUT, OUTPUT, Step
from tests.agents.model import serve
from tests.agents.programs import GEMINI

pytestmark = [pytest.mark.agents, GEMINI.needs]
WRITE: Step = ("write_file", {"file_path": "a.txt", "content": "hello"})


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([WRITE, GEMINI.shell("cat a.txt > b.txt"), "all done"]) as model:
        task = GEMINI.task(tmp_path, model.url)
        result, sink = await GEMINI.run(task, model.url, *GEMINI.allow)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello"
    assert [(type_, payload["tool"]) for type_, payload in sink.events] == [
        ("ai.tool_called", "write_file"),
        ("ai.tool_called", "run_shell_command"),
    ]
    assert sink.total == (3 * INPUT, 3 * OUTPUT, round(3 * (INPUT * 3 + OUTPUT * 15) / 1e6, 6))
    assert sum(usage.turns for usage in sink.usages) == 3
    assert b"all done" in sink.output


async def test_a_run_ends_at_most_one_call_beyond_its_turns(tmp_path: Path) -> None:
    with serve([GEMINI.shell(f"sleep 0.3; echo {number}") for number in range(10)]) as model:
        result, _ = await GEMINI.run(GEMINI.task(tmp_path, model.url, budget=Budget(turns=3)), model.url, *GEMINI.allow)
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert len(model.requests) <= 4


async def test_calls_that_its_mode_does_not_allow_are_denied_and_change_nothing(tmp_path: Path) -> None:
    with serve([WRITE, GEMINI.shell("echo hello > a.txt"), "it was refused"]) as model:
        task = GEMINI.task(tmp_path, model.url)
        result, sink = await GEMINI.run(task, model.url, "--approval-mode", "default")
    assert result == ExecutionResult(0)
    denied = [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_denied"]
    assert denied == ["write_file", "run_shell_command"]
    assert not list(task.cwd.iterdir())


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, _ = await GEMINI.run(GEMINI.task(tmp_path, model.url), model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail
