"""Tests what every executor must do, for each kind in the table."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id
from shared.models import Usage
from stitcherd.executors import EXECUTORS
from stitcherd.executors.acp.executor import AcpExecutor
from stitcherd.executors.base import INTERRUPTED, AgentProfile, Executor, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.jobs.command_runner import CommandRunner
from stitcherd.processes.tree import find_job_processes
from tests.stitcherd.executors.acp.fake_agent import agent_argv
from tests.stitcherd.executors.openclaw.fake_gateway import FakeGateway

Make = Callable[[str], Executor]
PATIENCE = 20.0

PROGRAMS = {
    "works": "import sys; open('made', 'w').write(sys.stdin.read()); print('made it')",
    "fails": "raise SystemExit(3)",
    "hangs": "import time; print('up', flush=True); time.sleep(60)",
}
AGENTS: dict[str, list[list[Any]]] = {
    "works": [["write", "made"], ["say", "made it"], ["end", "end_turn"]],
    "fails": [["end", "refusal"]],
    "hangs": [["say", "up"], ["hang"]],
}
SCRIPTS: dict[str, list[Any]] = {
    "works": [["write", "made"], ["say", "made it"]],
    "fails": [["end", {"status": "error", "endedAt": 2, "error": "so it was played"}]],
    "hangs": [["say", "up"], ["hold"]],
}


class Sink:
    """Passes output on, and keeps the reference."""

    def __init__(self, write: Callable[[bytes], None] = lambda _: None) -> None:
        self.write = write
        self.reference: dict[str, str] = {}
        self.prompts: list[str] = []

    def write_raw(self, data: bytes) -> None: ...

    def record_prompt(self, text: str) -> None:
        self.prompts.append(text)

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None: ...
    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None: ...

    async def save_reference(self, reference: dict[str, str]) -> None:
        self.reference = reference


@pytest.fixture(params=sorted(EXECUTORS))
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """Return a function that makes an executor that works, fails or hangs."""
    if request.param == "command":
        yield lambda does: CommandExecutor((sys.executable, "-c", PROGRAMS[does]))
        return
    if request.param == "acp":
        yield lambda does: AcpExecutor(agent_argv(AGENTS[does]))
        return
    assert request.param == "openclaw", "a new kind needs programs of its own here"
    gateway = FakeGateway()
    await gateway.open()

    def make(does: str) -> Executor:
        gateway.script = SCRIPTS[does]
        return OpenClawExecutor(gateway.address)

    yield make
    await gateway.close()
    assert not any(session.get("active") for session in gateway.sessions.values()), "nothing runs there any more"


@pytest.fixture
def task(tmp_path: Path) -> Task:
    work, tmp = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    tmp.mkdir()
    job_id = new_id()  # the workers of pytest-xdist may have directories of the same name
    commands = CommandRunner(job_id=job_id, attempt=2, number=3, root=tmp_path, cwd=work, tmp=tmp, environ=os.environ)
    return Task(
        job_id=job_id,
        attempt=2,
        number=3,
        prompt="Fix the Ä \ud800.",
        cwd=work,
        timeout=10.0,
        run_command=commands.run,
        profile=AgentProfile(name="writer", capabilities=frozenset({"repo:read", "repo:write"})),
    )


async def test_it_does_the_prompt_in_the_checkout_and_writes_its_output(make: Make, task: Task) -> None:
    output = bytearray()
    result = await make("works").run(task, Sink(output.extend))
    assert result.ok
    assert (task.cwd / "made").read_text() == "Fix the Ä ?."
    assert output.strip() == b"made it"


async def test_a_failure_is_reported(make: Make, task: Task) -> None:
    result = await make("fails").run(task, Sink())
    assert not result.ok
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert result.failure.detail.endswith(".")


async def test_a_timeout_ends_it(make: Make, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.executors.openclaw.executor.OVERRUN_SECONDS", 0.0)  # the fake enforces no timeout
    result = await make("hangs").run(structs.replace(task, timeout=0.3), Sink())
    assert result.failure
    assert result.failure.code == "executor_timeout"
    assert "after 0.3 s" in result.failure.detail
    assert find_job_processes(task.job_id, task.cwd.parent) == []


async def cancelled(executor: Executor, task: Task) -> Sink:
    """Cancel a task while it runs."""
    started = asyncio.Event()
    sink = Sink(lambda _: started.set())
    running = asyncio.ensure_future(executor.run(task, sink))
    async with asyncio.timeout(PATIENCE):
        await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    return sink


async def test_a_cancelled_task_leaves_nothing_running(make: Make, task: Task) -> None:
    await cancelled(make("hangs"), task)
    assert find_job_processes(task.job_id, task.cwd.parent) == []


async def test_resuming_what_was_ended_is_interrupted(make: Make, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stitcherd.executors.openclaw.run.FIND_SECONDS", 0.2)
    executor = make("hangs")
    sink = await cancelled(executor, task)
    result = await executor.resume(task, sink.reference, Sink())
    assert result.failure
    assert result.failure.code == INTERRUPTED
    await executor.terminate(sink.reference)


async def test_its_health_is_known(make: Make, task: Task) -> None:
    health = await make("works").health([task.profile] if task.profile else [])
    assert (health.ok, health.away) == (True, False)
    assert health.detail


@pytest.mark.parametrize(
    ("code", "exit_code", "detail"),
    [
        ("raise SystemExit(3)", 3, "The executor ended with exit code 3."),
        ("import os; os.kill(os.getpid(), 9)", -9, "The executor was ended by SIGKILL."),
    ],
)
async def test_a_failed_command_reports_how_it_ended(task: Task, code: str, exit_code: int, detail: str) -> None:
    result = await CommandExecutor((sys.executable, "-c", code)).run(task, Sink())
    assert result.exit_code == exit_code
    assert result.failure
    assert result.failure.detail == detail


async def test_a_command_that_cannot_start_is_reported(task: Task) -> None:
    result = await CommandExecutor(("no-such-agent", "-p")).run(task, Sink())
    assert result.exit_code is None
    assert result.failure
    assert result.failure.code == "executor_cannot_start"
    assert result.failure.detail == "no-such-agent cannot be started: there is no such program."
