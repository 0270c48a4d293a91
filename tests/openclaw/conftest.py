"""Fixtures for the tests of a real gateway: one with a scripted model for all tests, and tasks with own sessions."""

import asyncio
import json
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from stitcherd.executors.base import AgentProfile, PreviousTry, Task
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink
from tests.stitcherd.executors.openclaw.tasks import build_task

TOOLS = Path(__file__).parents[2] / "tools" / "openclaw"
SOON = 5.0  # two seconds are promised, but a machine may be busy
LONG = 240.0  # a gateway restarts in 20 s, resumes 5 to 15 s later, and is given up after a minute
WRITER = AgentProfile(name="writer", capabilities=frozenset({"repo:read", "repo:write"}))


class RealGateway:
    """The process that controls the gateway, and its address."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.facts = self._read()

    @property
    def address(self) -> GatewayAddress:
        return GatewayAddress(self.facts["url"], self.facts["token"])

    def send(self, command: str) -> None:
        """Send a command of tools/openclaw/gateway.py, and wait until it is done."""
        self.begin(command)
        self.facts = self._read()

    def begin(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def _read(self) -> Any:
        assert self._process.stdout
        return json.loads(self._process.stdout.readline() or "{}")


def model_calls(gateway: RealGateway) -> list[dict[str, Any]]:
    """Return the calls of the model."""
    with urlopen(f"{gateway.facts['model']}/asked") as answer:
        return list(json.load(answer))


@pytest.fixture(scope="session")
def gateway() -> Iterator[RealGateway]:
    with tempfile.TemporaryDirectory(prefix="stitcher-openclaw-", dir="/tmp") as directory:
        argv = ["nice", sys.executable, str(TOOLS / "gateway.py"), directory]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            started = RealGateway(process)
            # The first run of a gateway takes seconds longer, and so does the first of an agent after one of another:
            # most tests have the writer, and those of another agent follow each other.
            idle = build_task(TOOLS, job_id="idle", profile=WRITER)
            asyncio.run(OpenClawExecutor(started.address).run(idle, RecordingSink()))
            yield started
            process.communicate(timeout=90)  # closing its stdin ends the gateway


@pytest.fixture
def executor(gateway: RealGateway) -> OpenClawExecutor:
    return OpenClawExecutor(gateway.address)


@pytest.fixture
def sink() -> RecordingSink:
    return RecordingSink()


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., Task]:
    """Return a function that makes a task; its prompt scripts the model with steps of tools/openclaw/model.py."""

    def make(
        *steps: Any,
        job: str = "",
        number: int = 1,
        timeout: float | None = 60.0,
        profile: AgentProfile = WRITER,
        previous: PreviousTry | None = None,
    ) -> Task:
        job = job or uuid.uuid4().hex
        work = tmp_path / job
        work.mkdir(exist_ok=True)
        prompt = f"Do this. <play>{json.dumps(steps)}</play>"
        return build_task(work, prompt, job_id=job, number=number, timeout=timeout, profile=profile, previous=previous)

    return make
