"""Lets the model of the real programs fail, hang or answer what is hard to read: each ends, and leaves no process."""

import asyncio
from pathlib import Path

import pytest

from stitcherd.processes.tree import find_job_processes
from tests.agents.apis import BROKEN, HANGING, NO_UTF8, Step
from tests.agents.model import serve
from tests.agents.programs import CLAUDE, CODEX, GEMINI, Agent, each_agent

pytestmark = pytest.mark.agents
OVERLOADED = 529
END_SECONDS = 5.0  # two are promised, but a machine may be busy
LONG = 64 * 1024
TEXTS = (  # without repetitions: Gemini CLI ends a run that it takes for a loop
    " ".join(map(str, range(LONG // 6))),
    " ".join(map(str, range(4 * 2**20 // 7))),
    f"before {NO_UTF8} after",
)
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


@pytest.mark.parametrize("agent", each_agent())
async def test_a_cancel_while_the_model_hangs_leaves_no_process(tmp_path: Path, agent: Agent) -> None:
    with serve([HANGING]) as model:
        task = agent.task(tmp_path, model.url)
        running = asyncio.create_task(agent.run(task, model.url))
        while not model.requests and not running.done():  # noqa: ASYNC110 (the model is in another thread)
            await asyncio.sleep(0.05)
        running.cancel()
        async with asyncio.timeout(END_SECONDS):
            await asyncio.wait({running})
        assert running.cancelled()
        assert not find_job_processes(task.job_id, tmp_path)


@pytest.mark.parametrize("text", TEXTS, ids=["64K", "4M", "no-utf8"])
@pytest.mark.parametrize("agent", each_agent())
async def test_an_answer_that_is_hard_to_read_ends_the_run_with_its_text_or_a_code(
    tmp_path: Path, agent: Agent, text: str
) -> None:
    with serve([text]) as model:
        task = agent.task(tmp_path, model.url)
        result, sink = await agent.run(task, model.url)
    if result.failure:
        assert (result.failure.code, len(text) > LONG or NO_UTF8 in text) == ("executor_failed", True)
    else:
        assert text.partition(NO_UTF8)[0].encode() in sink.output
    assert not find_job_processes(task.job_id, tmp_path)
