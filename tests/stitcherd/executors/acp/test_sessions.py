"""Goes on in the session of an agent that speaks the protocol, and counts only what the try itself costs."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from stitcherd.config.settings import PriceSettings
from stitcherd.executors.acp.executor import AcpExecutor
from stitcherd.executors.base import ExecutionResult, PreviousTry, Task
from tests.stitcherd.executors.acp.fake_agent import agent_argv
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tests.stitcherd.executors.streams.test_stream_run import make_task

RESUMES = {"agentCapabilities": {"loadSession": True, "sessionCapabilities": {"resume": {}}}}
LOADS = {"agentCapabilities": {"loadSession": True}}
COST: list[Any] = ["update", {"sessionUpdate": "usage_update", "cost": {"amount": 0.75, "currency": "USD"}}]
SCRIPT: list[list[Any]] = [["write", "prompt"], COST, ["end", "end_turn"]]


@pytest.fixture
def task(tmp_path: Path) -> Task:
    return make_task(tmp_path)


async def run(task: Task, about: dict[str, Any], session: str | None = "s") -> tuple[ExecutionResult, RecordingSink]:
    sink = RecordingSink()
    previous = None if session is None else PreviousTry({"session": session, "usd": "0.500000"}, "news")
    executor = AcpExecutor(agent_argv(SCRIPT, about), resume=True)
    return await executor.run(structs.replace(task, previous=previous), sink), sink


@pytest.mark.parametrize(("about", "method"), [(RESUMES, "session/resume"), (LOADS, "session/load")])
async def test_a_session_goes_on_and_its_history_is_no_event(task: Task, about: dict[str, Any], method: str) -> None:
    result, sink = await run(task, about)
    assert result.ok
    assert (task.cwd / "opened").read_text() == method
    assert (task.cwd / "prompt").read_text() == "news"
    assert sink.events == [("ai.session_resumed", {"session": "s"})]
    assert b"said before" not in sink.output
    assert sum(usage.turns for usage in sink.usages) == 1


async def test_a_session_that_is_gone_is_begun_anew_with_the_whole_prompt(task: Task) -> None:
    result, sink = await run(task, RESUMES, "gone")
    assert result.ok
    assert (task.cwd / "prompt").read_text() == "fix it"
    reason = "session/resume: Resource not found"
    assert sink.events == [("ai.session_lost", {"session": "gone", "reason": reason})]


@pytest.mark.parametrize(("name", "usd"), [("OpenCode", 0.25), ("another", 0.75)])
async def test_of_a_cost_that_is_that_of_the_session_only_the_new_part_counts(
    task: Task, name: str, usd: float
) -> None:
    _, sink = await run(task, {**RESUMES, "agentInfo": {"name": name}})
    assert sink.total[2] == usd
    assert sink.reference == {"session": "s", "usd": "0.75"}


async def test_the_first_try_begins_a_session(task: Task) -> None:
    result, sink = await run(task, RESUMES, None)
    assert result.ok
    assert not (task.cwd / "opened").exists()
    assert sink.reference["session"] == "s"
    assert sink.events == []


@pytest.mark.parametrize(("costs", "usd"), [([], 0.0036), ([COST], 0.75)])
async def test_tokens_have_a_price_unless_the_agent_tells_a_cost(
    task: Task, costs: list[list[Any]], usd: float
) -> None:
    end = ["end", "end_turn", {"usage": {"inputTokens": 200, "outputTokens": 200}}]
    sink = RecordingSink()
    executor = AcpExecutor(agent_argv([*costs, end]), PriceSettings(input=3.0, output=15.0))
    assert (await executor.run(task, sink)).ok
    assert sink.total == (200, 200, usd)
