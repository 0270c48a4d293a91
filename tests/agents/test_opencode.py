"""Runs the real OpenCode against a scripted model: events, usage to the token, budgets, denials, failures."""

import json
from pathlib import Path

import pytest

from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult
from tests.agents.apis import INPUT, OUTPUT, Step
from tests.agents.model import serve
from tests.agents.programs import OPENCODE

pytestmark = [pytest.mark.agents, OPENCODE.needs]
WRITE: Step = ("write", {"filePath": "a.txt", "content": "hello"})
DOLLARS = (INPUT * 3 + OUTPUT * 15) / 1e6  # of one call of the model


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([WRITE, OPENCODE.shell("cat a.txt > b.txt"), "all done"]) as model:
        task = OPENCODE.task(tmp_path, model.url)
        result, sink = await OPENCODE.run(task, model.url)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello"
    assert [(type_, payload["tool"]) for type_, payload in sink.events] == [
        ("ai.tool_called", "write"),
        ("ai.tool_called", "bash"),
    ]
    assert sink.total == (3 * INPUT, 3 * OUTPUT, round(3 * DOLLARS, 6))
    assert sum(usage.turns for usage in sink.usages) == 3
    assert b"all done" in sink.output


@pytest.mark.parametrize("budget", [Budget(turns=3), Budget(usd=2.5 * DOLLARS)], ids=["turns", "dollars"])
async def test_a_run_ends_at_most_one_call_beyond_its_budget(tmp_path: Path, budget: Budget) -> None:
    with serve([OPENCODE.shell("sleep 0.3")]) as model:
        result, _ = await OPENCODE.run(OPENCODE.task(tmp_path, model.url, budget=budget), model.url)
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert 3 <= len(model.requests) <= 4


async def test_a_call_that_its_settings_do_not_allow_is_denied_and_ends_the_run(tmp_path: Path) -> None:
    asks = {"OPENCODE_PERMISSION": json.dumps({"edit": "ask"})}  # there is nobody to ask
    with serve([WRITE, "it was refused"]) as model:
        task = OPENCODE.task(tmp_path, model.url, more=asks)
        result, sink = await OPENCODE.run(task, model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "after its call of write was denied" in result.failure.detail
    assert len(model.requests) == 1
    assert [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_denied"] == ["write"]
    assert not list(task.cwd.iterdir())


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, _ = await OPENCODE.run(OPENCODE.task(tmp_path, model.url), model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail
