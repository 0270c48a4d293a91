"""Runs the real programs of agents in our sandbox: their usage, what they write on the machine, and a cancel."""

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from shared.program_mounts import needed_mounts
from stitcherd.executors.base import ExecutionResult
from stitcherd.processes.tree import find_job_processes
from tests.agents.apis import INPUT, OUTPUT
from tests.agents.model import serve
from tests.agents.programs import NEEDS_SANDBOX, Agent, each_agent
from tests.e2e.harness import wait_until
from tools.agents.install import program

pytestmark = [pytest.mark.agents, NEEDS_SANDBOX]
ALLOWED = {"OPENCODE_PERMISSION": '{"external_directory": "allow"}'}  # commands may name files outside the checkout
CANCEL_SECONDS = 2.0


def changed_since(began: float, directory: Path, agent: Agent) -> list[Path]:
    """Return what changed beside the checkout, TMPDIR and the agent's home: near them, in /etc, and at the program."""
    places = [str(directory), "/etc", *needed_mounts(str(program(agent.name)))]
    argv = ["find", *places, "-xdev", "-newerct", f"@{began:.3f}"]
    found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    own = [directory / name for name in ("work", "tmp", "agent")]
    return [path for path in map(Path, found) if not any(path.is_relative_to(each) for each in own)]


def top_level() -> set[Path]:
    """Return the names in the real home and in the root of the file system."""
    return {*Path.home().iterdir(), *Path("/").iterdir()}


@pytest.mark.parametrize("agent", each_agent())
async def test_its_usage_is_counted_and_it_writes_only_where_it_may(tmp_path: Path, agent: Agent) -> None:
    modules = program(agent.name).parents[1]
    outside = f"{tmp_path}/outside.txt {modules}/outside.txt /var/tmp/outside-{tmp_path.name}.txt"
    tries = f"for file in {outside}; do echo hello > $file; done; echo hello > ~/kept.txt; cp ~/kept.txt $TMPDIR"
    names = top_level()
    with serve([agent.shell(tries), agent.shell("cat ~/kept.txt > a.txt"), "all done"]) as model:
        task = agent.task(tmp_path, model.url, sandboxed=True, more=ALLOWED, sandbox="bwrap")
        began = time.time()
        result, sink = await agent.run(task, model.url, *agent.allow)
    assert result == ExecutionResult(0), sink.output.decode()
    assert [type_ for type_, _ in sink.events] == ["ai.tool_called"] * 2
    assert sink.total[:2] == (3 * INPUT, 3 * OUTPUT)
    written = (task.cwd / "a.txt", tmp_path / "tmp" / "kept.txt", tmp_path / "agent" / "kept.txt")
    assert [each.read_text() for each in written] == ["hello\n"] * 3
    assert not Path(f"/var/tmp/outside-{tmp_path.name}.txt").exists()
    assert changed_since(began, tmp_path, agent) == []
    assert top_level() == names


@pytest.mark.parametrize("agent", each_agent())
async def test_a_cancel_in_a_tool_leaves_no_process(tmp_path: Path, agent: Agent) -> None:
    with serve([agent.shell("(trap '' TERM; touch began; sleep 60) & wait")]) as model:
        task = agent.task(tmp_path, model.url, sandboxed=True, more=ALLOWED, sandbox="bwrap")
        running = asyncio.create_task(agent.run(task, model.url, *agent.allow))
        await asyncio.to_thread(wait_until, (task.cwd / "began").exists, "the tool to begin")
        assert find_job_processes(task.job_id, tmp_path)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(running, CANCEL_SECONDS)
        assert not find_job_processes(task.job_id, tmp_path)
