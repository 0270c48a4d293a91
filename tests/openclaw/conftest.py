"""A real gateway with a scripted model, one for all of these tests; each has a checkout and a session of its own."""

import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stitcherd.executors.base import AgentProfile, Task
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.jobs.command_runner import CommandRunner
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

TOOLS = Path(__file__).parents[2] / "tools" / "openclaw"
SOON = 5.0  # two seconds are promised, and a busy machine gets some more
LONG = 240.0  # a gateway comes back in 20 s, goes on 5 to 15 s later, and is given up after a minute
WRITER = AgentProfile(name="writer", capabilities=frozenset({"repo:read", "repo:write"}))


class RealGateway:
    """The process that runs the gateway, and what it says."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.facts = self._read()

    @property
    def address(self) -> GatewayAddress:
        return GatewayAddress(self.facts["url"], self.facts["token"])

    def order(self, order: str) -> None:
        """Give an order of tools/openclaw/gateway.py, and wait until it is done."""
        self.begin(order)
        self.facts = self._read()

    def begin(self, order: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline() or "{}")


@pytest.fixture(scope="session")
def gateway() -> Iterator[RealGateway]:
    with tempfile.TemporaryDirectory(prefix="stitcher-openclaw-", dir="/tmp") as directory:
        argv = ["nice", sys.executable, str(TOOLS / "gateway.py"), directory]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            started = RealGateway(process)
            # A gateway loads half of itself with its first run, which takes seconds.
            idle = Task(
                job_id="idle",
                attempt=1,
                number=1,
                prompt="",
                cwd=TOOLS,
                timeout=None,
                run_command=CommandRunner(job_id="idle", attempt=1, root=TOOLS, cwd=TOOLS, tmp=TOOLS, environ={}).run,
            )
            asyncio.run(OpenClawExecutor(started.address).run(idle, RecordingSink()))
            yield started
            process.communicate(timeout=90)  # its standard input is closed: it ends what it started


@pytest.fixture
def executor(gateway: RealGateway) -> OpenClawExecutor:
    return OpenClawExecutor(gateway.address)


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    """Make a task whose prompt tells the model what to do; steps are those of tools/openclaw/model.py."""

    def make(
        *steps: Any, job: str = "", number: int = 1, timeout: float | None = 60.0, profile: AgentProfile = WRITER
    ) -> Task:
        job = job or uuid.uuid4().hex
        work = tmp_path / job
        work.mkdir(exist_ok=True)
        return Task(
            job_id=job,
            attempt=1,
            number=number,
            prompt=f"Do this. <play>{json.dumps(steps)}</play>",
            cwd=work,
            timeout=timeout,
            run_command=CommandRunner(job_id=job, attempt=1, root=tmp_path, cwd=work, tmp=tmp_path, environ={}).run,
            profile=profile,
        )

    return make
