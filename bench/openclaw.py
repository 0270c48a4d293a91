"""What the OpenClaw executor adds to a run, against a real gateway whose model answers at once.

    python -m bench.openclaw        needs what `make test-openclaw` installs

Beside each figure of ours is the same run with the least that the protocol allows, on one open connection.
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
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from stitcherd.executors.base import AgentProfile, Task
from stitcherd.executors.openclaw.connection import ADMIN_SCOPES, GatewayAddress, GatewayConnection, connect
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.executors.openclaw.permissions import agent_permissions
from stitcherd.jobs.command_runner import CommandRunner

TOOL = Path(__file__).parents[1] / "tools" / "openclaw" / "gateway.py"
RUNS = 20
PARALLEL = 4
READER = AgentProfile(name="bench", capabilities=frozenset({"repo:read"}))
AGENT = agent_permissions(READER).agent
NOTHING = '<play>[{"say": "done"}]</play>'
LONG = '<play>[{"say": "late", "wait": 60}]</play>'


class StartSink:
    """Drops all output; `started` is set when the run is about to start."""

    def __init__(self) -> None:
        self.started = asyncio.Event()

    def write(self, _data: bytes) -> None: ...
    async def record_event(self, _type: str, _payload: dict[str, Any]) -> None: ...
    async def add_usage(self, _usage: Any, _reference: Any = None) -> None: ...
    async def save_reference(self, _reference: dict[str, str]) -> None:
        self.started.set()


def task(place: Path, prompt: str) -> Task:
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
        profile=READER,
    )


async def bare(gateway: GatewayConnection) -> None:
    run = uuid.uuid4().hex
    key = f"agent:{AGENT}:bench:{run}"
    asked = {"message": NOTHING, "agentId": AGENT, "sessionKey": key, "idempotencyKey": run, "deliver": False}
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


async def timed(run: Callable[[], Awaitable[object]]) -> float:
    before = time.perf_counter()
    await run()
    return (time.perf_counter() - before) * 1000


def summed(row: str, spent: list[float], **more: Any) -> dict[str, Any]:
    return {"row": row, "p50_ms": round(statistics.median(spent)), "max_ms": round(max(spent)), **more}


async def figures(address: GatewayAddress, place: Path) -> list[dict[str, Any]]:
    executor = OpenClawExecutor(address)
    await executor.run(task(place, NOTHING), StartSink())  # loads the gateway's other half, and writes the agent
    rows: list[dict[str, Any]] = []
    async with connect(address, ADMIN_SCOPES) as gateway:
        await bare(gateway)
        # In turn: a gateway grows slower as it grows, and neither should have the better half of it.
        pairs = [
            (await timed(lambda: bare(gateway)), await timed(lambda: executor.run(task(place, NOTHING), StartSink())))
            for _ in range(RUNS)
        ]
    rows.append(summed("a run with the bare protocol", [run for run, _ in pairs]))
    rows.append(summed("a try", [ours for _, ours in pairs]))
    rows.append(summed("what a try adds", [ours - run for run, ours in pairs], goal_ms=50))
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
                rows = asyncio.run(figures(GatewayAddress(facts["url"], facts["token"]), place))
                memory = Path(f"/proc/{facts['pid']}/status").read_text().partition("VmRSS:")[2].split()[0]
            finally:
                process.communicate(timeout=60)
        return [*rows, {"row": "the gateway itself", "ready_s": ready, "rss_mb": int(memory) // 1024}]


if __name__ == "__main__":
    for line in measure(Namespace()):
        print("  ".join(f"{name} {value}" for name, value in line.items()))
