"""What the OpenClaw executor adds to a run, against a real gateway whose model answers at once.

    python -m bench openclaw        needs what `make test-openclaw` installs

Beside each figure of ours is the same run with the least that the protocol allows, on one open connection, both in
turn. `cpu` is that of the gateway, which counts on a machine that is not idle. The parts overlap partly with what a bare
run does as well, so that their sum is more than what a try adds.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from argparse import Namespace
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from bench import usage
from stitcherd.executors.base import AgentProfile, Task
from stitcherd.executors.openclaw.connection import ADMIN_SCOPES, GatewayAddress, GatewayConnection, connect
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.executors.openclaw.permissions import agent_permissions
from stitcherd.jobs.command_runner import CommandRunner

TOOL = Path(__file__).parents[1] / "tools" / "openclaw" / "gateway.py"
RUNS = 15
PARALLEL = 4
SETTLE_SECONDS = 0.3  # for what the gateway does after a run, so that the next one does not pay for it
READER = AgentProfile(name="reader", capabilities=frozenset({"repo:read"}))
RUNNER = AgentProfile(
    name="runner", capabilities=frozenset({"repo:read", "exec:run"}), tools=("read", "ls", "exec:make")
)
NOTHING = '<play>[{"say": "done"}]</play>'
LONG = '<play>[{"say": "late", "wait": 60}]</play>'


class StartSink:
    """Drops all output; `started` is set when the run is about to start."""

    def __init__(self) -> None:
        self.started = asyncio.Event()

    def write(self, _data: bytes) -> None: ...
    def record_prompt(self, _text: str) -> None: ...
    def write_raw(self, _data: bytes) -> None: ...
    async def record_event(self, _type: str, _payload: dict[str, Any]) -> None: ...
    async def add_usage(self, _usage: Any, _reference: Any = None) -> None: ...
    async def save_reference(self, _reference: dict[str, str]) -> None:
        self.started.set()


class Meter:
    """Measures runs of one gateway: the time of each, and the processor time of the gateway, in milliseconds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.spent: list[float] = []
        self.cpu: list[float] = []

    async def measure(self, run: Callable[[], Awaitable[object]]) -> None:
        """Measure one run."""
        cpu, before = self._cpu_ms(), time.perf_counter()
        await run()
        self.spent.append((time.perf_counter() - before) * 1000)
        await asyncio.sleep(SETTLE_SECONDS)
        self.cpu.append(self._cpu_ms() - cpu)

    def row(self, name: str) -> dict[str, Any]:
        """Return the figures of the runs so far."""
        return summed(name, self.spent, cpu_ms=round(statistics.median(self.cpu)))

    def row_beside(self, other: "Meter", name: str) -> dict[str, Any]:
        """Return how much more these runs took than the others, which were measured in turn with them."""
        more = [ours - theirs for ours, theirs in zip(self.spent, other.spent, strict=True)]
        cpu = statistics.median(ours - theirs for ours, theirs in zip(self.cpu, other.cpu, strict=True))
        return summed(name, more, cpu_ms=round(cpu))

    def _cpu_ms(self) -> float:
        return usage.cpu((self._pid,)) * 1000


@contextmanager
def parts_recorded(parts: dict[str, list[float]]) -> Iterator[None]:
    """Record how long each request takes, by its method."""
    request = GatewayConnection.request

    async def recorded(gateway: GatewayConnection, method: str, *args: Any, **more: Any) -> dict[str, Any]:
        before = time.perf_counter()
        try:
            return await request(gateway, method, *args, **more)
        finally:
            parts[method].append((time.perf_counter() - before) * 1000)

    with mock.patch.object(GatewayConnection, "request", recorded):
        yield


def task(place: Path, prompt: str, profile: AgentProfile = READER) -> Task:
    job_id = uuid.uuid4().hex
    commands = CommandRunner(job_id=job_id, attempt=1, root=place, cwd=place, tmp=place, environ={})
    return Task(
        job_id=job_id,
        attempt=1,
        number=1,
        prompt=prompt,
        cwd=place,
        timeout=120.0,
        run_command=commands.run,
        profile=profile,
    )


async def bare(gateway: GatewayConnection, agent: str) -> None:
    run = uuid.uuid4().hex
    key = f"agent:{agent}:bench:{run}"
    asked = {"message": NOTHING, "agentId": agent, "sessionKey": key, "idempotencyKey": run, "deliver": False}
    await gateway.request("agent", asked)
    await gateway.request("agent.wait", {"runId": run, "timeoutMs": 30_000}, 40)


async def cancel(executor: OpenClawExecutor, place: Path) -> float:
    sink = StartSink()
    running = asyncio.create_task(executor.run(task(place, LONG), sink))
    await sink.started.wait()
    await asyncio.sleep(1)
    before = time.perf_counter()
    running.cancel()
    await asyncio.wait({running})
    return time.perf_counter() - before


def summed(row: str, spent: list[float], **more: Any) -> dict[str, Any]:
    return {"row": row, "p50_ms": round(statistics.median(spent)), "max_ms": round(max(spent)), **more}


async def compare(
    address: GatewayAddress, pid: int, executor: OpenClawExecutor, place: Path, profile: AgentProfile
) -> list[dict[str, Any]]:
    """Measure bare runs and tries of one agent, in turn: a gateway grows slower, and takes long to change the agent."""
    plain, ours, agent = Meter(pid), Meter(pid), agent_permissions(profile).agent
    parts: dict[str, list[float]] = defaultdict(list)
    async with connect(address, ADMIN_SCOPES) as gateway:
        await executor.run(task(place, NOTHING, profile), StartSink())  # writes the agent
        await bare(gateway, agent)
        for _ in range(RUNS):
            await plain.measure(lambda: bare(gateway, agent))
            with parts_recorded(parts):
                await ours.measure(lambda: executor.run(task(place, NOTHING, profile), StartSink()))
    rows = [plain.row("a run with the bare protocol"), ours.row("a try"), ours.row_beside(plain, "what a try adds")]
    rows += [summed(f"  {method}", spent, times=round(len(spent) / RUNS, 1)) for method, spent in parts.items()]
    return [{**row, "row": f"{profile.name}: {row['row']}"} for row in rows]


async def figures(address: GatewayAddress, place: Path, pid: int) -> list[dict[str, Any]]:
    executor = OpenClawExecutor(address)
    rows = [{"row": "goal for what a try adds", "goal_ms": 50}]
    for profile in (READER, RUNNER):
        rows += await compare(address, pid, executor, place, profile)
    before = time.perf_counter()
    await asyncio.gather(*(executor.run(task(place, NOTHING), StartSink()) for _ in range(PARALLEL)))
    rows.append({"row": f"{PARALLEL} tries at once", "ms": round((time.perf_counter() - before) * 1000)})
    ends = [await cancel(executor, place) for _ in range(3)]
    rows.append({"row": "a cancel", "max_ms": round(max(ends) * 1000), "goal_ms": 2000})
    return rows


def measure(_options: Namespace) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="bench-openclaw-") as directory:
        state, place = Path(directory) / "gateway", Path(directory) / "checkout"
        place.mkdir()
        before = time.perf_counter()
        argv = [sys.executable, str(TOOL), str(state)]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            facts = json.loads(process.stdout.readline())
            ready = round(time.perf_counter() - before, 1)
            try:
                rows = asyncio.run(figures(GatewayAddress(facts["url"], facts["token"]), place, facts["pid"]))
                memory = Path(f"/proc/{facts['pid']}/status").read_text().partition("VmRSS:")[2].split()[0]
            finally:
                process.communicate(timeout=60)
        return [*rows, {"row": "the gateway itself", "ready_s": ready, "rss_mb": int(memory) // 1024}]
