"""Runs the real Codex against a scripted model: events, usage to the token, budgets, and an API that refuses."""

from pathlib import Path

import pytest

from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult
from tests.agents.apis import INPUT, OUTPUT
from tests.agents.model import serve
from tests.agents.programs import CODEX

pytestmark = [pytest.mark.agents, CODEX.needs]


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([CODEX.shell("echo hello > a.txt"), CODEX.shell("cat a.txt > b.txt"), "all done"]) as model:
        task = CODEX.task(tmp_path, model.url)
        result, sink = await CODEX.run(task, model.url)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello\n"
    assert [type_ for type_, _ in sink.events] == ["ai.tool_called"] * 2
    assert sink.total[:2] == (3 * INPUT, 3 * OUTPUT)
    assert sum(usage.turns for usage in sink.usages) == 3
    assert sink.total[2] == round(3 * (INPUT * 3 + OUTPUT * 15) / 1e6, 6)


async def test_a_run_ends_at_most_one_call_beyond_its_turns(tmp_path: Path) -> None:
    with serve([CODEX.shell("sleep 0.3")]) as model:
        result, _ = await CODEX.run(CODEX.task(tmp_path, model.url, budget=Budget(turns=3)), model.url)
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert len(model.requests) <= 4


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, _ = await CODEX.run(CODEX.task(tmp_path, model.url), model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail
