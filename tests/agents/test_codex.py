"""Runs the real Codex against a scripted model: events, usage to the token, budgets, and an API that refuses."""

from pathlib import Path
from typing import Any

import pytest

from stitcherd.budget import Budget
from stitcherd.config.settings import PriceSettings
from stitcherd.executors.base import ExecutionResult, Task
from stitcherd.executors.command import CommandExecutor
from tests.agents.model import INPUT, OUTPUT, Model, Step, serve
from tests.agents.tasks import build_task
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tools.agents.install import program

pytestmark = [
    pytest.mark.agents,
    pytest.mark.skipif(not program("codex").exists(), reason="Codex is not installed: make test-agents"),
]
FLAGS = ("--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox")


def shell(command: str) -> Step:
    return ("exec_command", {"cmd": command, "yield_time_ms": 10_000})


def make_task(directory: Path, model: Model, **profile: Any) -> tuple[Task, tuple[str, ...]]:
    """Return a task, and the options with which Codex uses the model."""
    home = directory / "codex"
    home.mkdir()  # it does not create it
    fields = (
        'name = "m"',
        f'base_url = "{model.url}/v1"',
        'wire_api = "responses"',
        'env_key = "MODEL_KEY"',
        "request_max_retries = 1",
        "stream_max_retries = 1",
    )
    provider = f"model_providers.m={{{', '.join(fields)}}}"
    chosen = ("-c", 'model="m"', "-c", 'model_provider="m"', "-c", provider)
    return build_task(directory, {"CODEX_HOME": str(home), "MODEL_KEY": "no-key"}, **profile), chosen


async def run(directory: Path, model: Model, **profile: Any) -> tuple[ExecutionResult, RecordingSink, Task]:
    sink = RecordingSink()
    task, chosen = make_task(directory, model, **profile)
    executor = CommandExecutor(
        (str(program("codex")), "exec", *FLAGS, *chosen, "-"), "codex", PriceSettings(input=3.0, output=15.0)
    )
    return await executor.run(task, sink), sink, task


async def test_its_calls_are_events_and_its_usage_is_that_of_the_model(tmp_path: Path) -> None:
    with serve([shell("echo hello > a.txt"), shell("cat a.txt > b.txt"), "all done"]) as model:
        result, sink, task = await run(tmp_path, model)
    assert result == ExecutionResult(0)
    assert (task.cwd / "b.txt").read_text() == "hello\n"
    assert [type_ for type_, _ in sink.events] == ["ai.tool_called"] * 2
    assert sink.total[:2] == (3 * INPUT, 3 * OUTPUT)
    assert sum(usage.turns for usage in sink.usages) == 3
    assert sink.total[2] == round(3 * (INPUT * 3 + OUTPUT * 15) / 1e6, 6)


async def test_a_run_ends_at_most_one_call_beyond_its_turns(tmp_path: Path) -> None:
    with serve([shell("sleep 0.3")]) as model:
        result, *_ = await run(tmp_path, model, budget=Budget(turns=3))
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert len(model.requests) <= 4


async def test_an_api_that_refuses_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    with serve([400]) as model:
        result, *_ = await run(tmp_path, model)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "it was refused" in result.failure.detail
