"""Runs the real Claude Code against a scripted model: events, usage to the token, budgets, tools, failures, cancel."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.processes.tree import find_job_processes
from tests.agents.model import INPUT, OUTPUT, Model, Step, serve
from tests.agents.tasks import build_task
from tests.e2e.harness import wait_until
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tools.agents.install import program

pytestmark = [
    pytest.mark.agents,
    pytest.mark.skipif(not program("claude").exists(), reason="Claude Code is not installed: make test-agents"),
]
STREAM = ("-p", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits")
NAMES = (
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_API_KEY",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "CLAUDE_CODE_MAX_RETRIES",
)
WRITE: Step = ("Write", {"file_path": "a.txt", "content": "hello"})


def make_task(directory: Path, model: Model, **profile: Any) -> Task:
    return build_task(directory, dict(zip(NAMES, (model.url, "no-key", "1", "1"), strict=True)), **profile)


async def run(task: Task) -> tuple[ExecutionResult, RecordingSink]:
    sink = RecordingSink()
    executor = CommandExecutor((str(program("claude")), *STREAM, "--allowedTools", "Bash"), "claude")
    return await executor.run(task, sink), sink


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([WRITE, ("Bash", {"command": "cat a.txt > b.txt", "description": "copy"}), "all done"]) as model:
        task = make_task(tmp_path, model)
        result, sink = await run(task)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello"
    assert [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_called"] == ["Write", "Bash"]
    assert sink.total[:2] == (3 * INPUT, 3 * OUTPUT)
    assert sum(usage.turns for usage in sink.usages) == 3
    assert b"all done" in sink.output


async def test_a_run_ends_at_most_one_call_beyond_its_turns(tmp_path: Path) -> None:
    with serve([("Bash", {"command": "sleep 0.3", "description": "wait"})]) as model:
        result, _ = await run(make_task(tmp_path, model, budget=Budget(turns=3)))
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert len(model.requests) == 4


async def test_a_run_ends_beyond_its_dollars(tmp_path: Path) -> None:
    with serve([("Bash", {"command": "true", "description": "nothing"})]) as model:
        result, sink = await run(make_task(tmp_path, model, budget=Budget(usd=0.0001)))
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert sink.total[2] > 0
    assert len(model.requests) <= 2


async def test_a_tool_that_the_profile_does_not_have_is_denied_and_changes_nothing(tmp_path: Path) -> None:
    with serve([WRITE, "it was refused"]) as model:
        task = make_task(tmp_path, model, tools=("Read",))
        result, sink = await run(task)
    assert result == ExecutionResult(0)
    assert [payload["tool"] for type_, payload in sink.events if type_ == "ai.tool_denied"] == ["Write"]
    assert not list(task.cwd.iterdir())
    assert {each["name"] for each in model.requests[0]["tools"]} == {"Read"}


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, _ = await run(make_task(tmp_path, model))
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail


async def test_a_cancel_in_a_tool_leaves_no_process(tmp_path: Path) -> None:
    with serve([("Bash", {"command": "touch began; sleep 60", "description": "wait"})]) as model:
        task = make_task(tmp_path, model)
        running = asyncio.create_task(run(task))
        await asyncio.to_thread(wait_until, (task.cwd / "began").exists, "the tool to begin")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, 5)
    assert not find_job_processes(task.job_id, tmp_path)
