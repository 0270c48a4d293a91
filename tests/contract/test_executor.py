"""What every executor must do, run over each kind that there is."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.models import Usage
from stitcherd.executors import Executor, Outcome, Task
from stitcherd.executors.command import CommandExecutor
from stitcherd.processes import environment
from stitcherd.processes.tree import find

Make = Callable[[str], Executor]


class Ear:
    """Hears what an executor says, and hands its output on."""

    def __init__(self, listen: Callable[[bytes], None] = lambda _: None) -> None:
        self.say = listen
        self.heard: list[object] = []

    async def note(self, type_: str, payload: dict[str, Any]) -> None:
        self.heard.append((type_, payload))

    async def used(self, usage: Usage) -> None:
        self.heard.append(usage)

    async def remember(self, reference: dict[str, str]) -> None:
        self.heard.append(reference)


def command(code: str) -> Executor:
    return CommandExecutor((sys.executable, "-c", code))


@pytest.fixture(params=[command])
def make(request: pytest.FixtureRequest) -> Make:
    """Make an executor that does what a piece of Python says, with the prompt on stdin."""
    made: Make = request.param
    return made


@pytest.fixture
def task(tmp_path: Path) -> Task:
    work, tmp = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    tmp.mkdir()
    env = environment(os.environ, job_id=tmp_path.name, attempt=2, number=3, tmp=tmp)
    return Task(
        job_id=tmp_path.name,
        attempt=2,
        number=3,
        prompt="Fix the Ä \ud800.",
        cwd=work,
        tmp=tmp,
        root=tmp_path,
        env=env,
        timeout=10.0,
    )


def with_timeout(task: Task, timeout: float) -> Task:
    fields = {name: getattr(task, name) for name in task.__struct_fields__}
    return Task(**{**fields, "timeout": timeout})


async def test_it_works_in_the_checkout_on_the_prompt_and_says_what_it_does(make: Make, task: Task) -> None:
    said = bytearray()
    code = "import sys, os; open('made', 'w').write(sys.stdin.read()); print(os.environ['STITCHER_TRY'])"
    outcome = await make(code).run(task, Ear(said.extend))
    assert outcome == Outcome(exit_code=0)
    assert outcome.ok
    assert (task.cwd / "made").read_text() == "Fix the Ä ?."
    assert said == b"3\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "detail"),
    [
        ("raise SystemExit(3)", 3, "The executor ended with exit code 3."),
        ("import os; os.kill(os.getpid(), 9)", -9, "The executor was ended by SIGKILL."),
    ],
)
async def test_a_failure_is_told(make: Make, task: Task, code: str, exit_code: int, detail: str) -> None:
    outcome = await make(code).run(task, Ear())
    assert not outcome.ok
    assert outcome.exit_code == exit_code
    assert outcome.failure
    assert (outcome.failure.code, outcome.failure.detail) == ("executor_failed", detail)


async def test_time_runs_out(make: Make, task: Task) -> None:
    outcome = await make("import time; time.sleep(60)").run(with_timeout(task, 0.3), Ear())
    assert outcome.failure
    assert outcome.failure.code == "executor_timeout"
    assert "after 0.3 s" in outcome.failure.detail
    assert find(task.job_id, task.root) == []


async def test_a_cancelled_one_leaves_nothing_running(make: Make, task: Task) -> None:
    started = asyncio.Event()
    code = "import time; print('up', flush=True); time.sleep(60)"
    running = asyncio.ensure_future(make(code).run(task, Ear(lambda _: started.set())))
    await asyncio.wait_for(started.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert find(task.job_id, task.root) == []


async def test_a_command_that_cannot_start_is_told(task: Task) -> None:
    outcome = await CommandExecutor(("no-such-agent", "-p")).run(task, Ear())
    assert outcome.exit_code is None
    assert outcome.failure
    assert outcome.failure.code == "executor_cannot_start"
    assert outcome.failure.detail == "no-such-agent cannot be started: there is no such program."
