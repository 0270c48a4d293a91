"""Runs the real Claude Code against a scripted model: events, usage to the token, budgets, tools, failures, cancel."""

import asyncio
from pathlib import Path

import pytest

from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult
from stitcherd.processes.tree import find_job_processes
from tests.agents.apis import INPUT, OUTPUT, Step
from tests.agents.model import serve
from tests.agents.programs import CLAUDE
from tests.e2e.harness import wait_until

pytestmark = [pytest.mark.agents, CLAUDE.needs]
WRITE: Step = ("Write", {"file_path": "a.txt", "content": "hello"})


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([WRITE, CLAUDE.shell("cat a.txt > b.txt"), "all done"]) as model:
        task = CLAUDE.task(tmp_path, model.url)
        result, sink = await CLAUDE.run(task, model.url, *CLAUDE.allow)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello"
    assert [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_called"] == ["Write", "Bash"]
    assert sink.total[:2] == (3 * INPUT, 3 * OUTPUT)
    assert sum(usage.turns for usage in sink.usages) == 3
    assert b"all done" in sink.output


async def test_a_run_ends_at_most_one_call_beyond_its_turns(tmp_path: Path) -> None:
    with serve([CLAUDE.shell("sleep 0.3")]) as model:
        result, _ = await CLAUDE.run(CLAUDE.task(tmp_path, model.url, budget=Budget(turns=3)), model.url, *CLAUDE.allow)
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert len(model.requests) == 4


async def test_a_run_ends_beyond_its_dollars(tmp_path: Path) -> None:
    with serve([CLAUDE.shell("true")]) as model:
        result, sink = await CLAUDE.run(
            CLAUDE.task(tmp_path, model.url, budget=Budget(usd=0.0001)), model.url, *CLAUDE.allow
        )
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert sink.total[2] > 0
    assert len(model.requests) <= 2


async def test_a_tool_that_the_profile_does_not_have_is_denied_and_changes_nothing(tmp_path: Path) -> None:
    with serve([WRITE, "it was refused"]) as model:
        task = CLAUDE.task(tmp_path, model.url, tools=("Read",))
        result, sink = await CLAUDE.run(task, model.url, *CLAUDE.allow)
    assert result == ExecutionResult(0)
    assert [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_denied"] == ["Write"]
    assert not list(task.cwd.iterdir())
    assert {each["name"] for each in model.requests[0]["tools"]} == {"Read"}


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, _ = await CLAUDE.run(CLAUDE.task(tmp_path, model.url), model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail


async def test_a_cancel_in_a_tool_leaves_no_process(tmp_path: Path) -> None:
    with serve([CLAUDE.shell("touch began; sleep 60")]) as model:
        task = CLAUDE.task(tmp_path, model.url)
        running = asyncio.create_task(CLAUDE.run(task, model.url, *CLAUDE.allow))
        await asyncio.to_thread(wait_until, (task.cwd / "began").exists, "the tool to begin")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)
    assert not find_job_processes(task.job_id, tmp_path)
