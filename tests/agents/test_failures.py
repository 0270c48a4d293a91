"""Lets the model of the real programs fail again and again: each ends with a code, and leaves no process."""

from pathlib import Path

import pytest

from stitcherd.processes.tree import find_job_processes
from tests.agents.apis import BROKEN, Step
from tests.agents.model import serve
from tests.agents.programs import CLAUDE, CODEX, GEMINI, Agent

pytestmark = pytest.mark.agents
OVERLOADED = 529
CASES = {  # OpenCode asks again until its timeout, and so does Gemini CLI if its model is overloaded
    "claude-overloaded": (CLAUDE, OVERLOADED),
    "claude-broken": (CLAUDE, BROKEN),
    "codex-overloaded": (CODEX, OVERLOADED),
    "codex-broken": (CODEX, BROKEN),
    "gemini-broken": (GEMINI, BROKEN),
}


@pytest.mark.parametrize(
    ("agent", "step"), [pytest.param(*case, id=name, marks=case[0].needs) for name, case in CASES.items()]
)
async def test_a_model_that_never_answers_whole_is_a_failure(tmp_path: Path, agent: Agent, step: Step) -> None:
    with serve([step]) as model:
        task = agent.task(tmp_path, model.url)
        result, sink = await agent.run(task, model.url)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert result.failure.detail.startswith("The agent failed: "), "it says why itself"
    assert model.requests
    assert sink.total[:2] == (0, 0)
    assert not find_job_processes(task.job_id, tmp_path)
