"""Tests the executor with a real OpenClaw gateway: runs, limits, ends, restarts."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import AgentProfile, ExecutionResult, ExecutorUnavailable, PreviousTry, Task
from stitcherd.executors.openclaw.connection import ADMIN_SCOPES, GatewayAddress, connect
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.executors.openclaw.protocol import RequestRefused
from tests.openclaw.conftest import SOON, WRITER, RealGateway, model_calls
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

pytestmark = pytest.mark.openclaw

Make = Callable[..., Task]
TIMEOUT = 120.0
RUNNER = AgentProfile(
    name="runner", capabilities=frozenset({"repo:read", "exec:run"}), tools=("read", "exec:sleep", "exec:git status.*")
)


def write(path: str) -> dict[str, Any]:
    return {"tool": "write", "args": {"path": path, "content": "made"}}


def run(command: str) -> dict[str, Any]:
    return {"tool": "exec", "args": {"command": command}}


async def wait_for(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110 (processes and files of others have no event)
            await asyncio.sleep(0.05)


def processes(command: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cmdline").read_bytes().replace(b"\0", b" ").strip().decode().endswith(command):
                found.append(int(entry.name))
    return found


async def session(gateway: RealGateway, sink: RecordingSink) -> dict[str, Any]:
    async with connect(gateway.address) as connection:
        described = await connection.request("sessions.describe", {"key": sink.reference["key"]})
    return dict(described["session"])


async def delete_session(gateway: RealGateway, key: str) -> None:
    async with asyncio.timeout(60), connect(gateway.address, ADMIN_SCOPES) as connection:
        while True:  # it is refused as long as the gateway is archiving the session in the background
            with suppress(RequestRefused):
                await connection.request("sessions.delete", {"key": key})
                return
            await asyncio.sleep(0.1)


async def test_a_run_and_its_next_tries(
    gateway: RealGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert await executor.run(make_task({"say": "nothing to do"}, job="twice"), sink) == ExecutionResult()
    assert sink.output == b"nothing to do\n"
    assert sink.usages == [Usage(100, 10, 0.00012, 1)]

    news = PreviousTry(sink.reference, '<play>[{"name": "news", "say": "again", "tokens": [50, 5]}]</play>')
    whole = {"name": "whole", "say": "all"}
    assert await executor.run(make_task(whole, job="twice", number=2, previous=news), sink) == ExecutionResult()
    assert sink.usages[1:] == [Usage(50, 5, 0.00006, 1)]

    await delete_session(gateway, sink.reference["key"])
    lost = PreviousTry(sink.reference, news.follow_up)
    assert await executor.run(make_task(whole, job="twice", number=3, previous=lost), sink) == ExecutionResult()
    assert [type_ for type_, _ in sink.events] == ["ai.session_resumed", "ai.session_lost"]
    asked = [(call["name"], call["prompts"]) for call in model_calls(gateway) if call["name"] in {"news", "whole"}]
    assert asked == [("news", 2), ("whole", 1)]


async def test_a_tool_writes_in_the_checkout(executor: OpenClawExecutor, sink: RecordingSink, make_task: Make) -> None:
    task = make_task({"say": "I write.", **write("a/b.txt")}, {"say": "done"})
    assert await executor.run(task, sink) == ExecutionResult()
    assert (task.cwd / "a" / "b.txt").read_text() == "made"
    assert sink.output == b"I write.\n[Write to a/b.txt (4 chars)]\ndone\n"
    assert [(type_, payload["tool"]) for type_, payload in sink.events] == [("ai.tool_called", "write")]


async def test_a_tool_that_is_not_allowed_does_nothing(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task(run("touch here"), {"say": "done"})
    assert await executor.run(task, sink) == ExecutionResult()
    assert list(task.cwd.iterdir()) == []
    assert [type_ for type_, _ in sink.events] == ["ai.tool_called", "ai.tool_denied"]
    assert sink.total == (200, 20, 0.00024)


@pytest.mark.parametrize("path", ["../outside", "/tmp/stitcher-outside"])
async def test_nothing_is_written_outside_the_checkout(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, path: str
) -> None:
    task = make_task(write(path), {"tool": "read", "args": {"path": "/etc/hostname"}}, {"say": "done"})
    assert await executor.run(task, sink) == ExecutionResult()
    assert not (task.cwd / path).exists()
    assert [type_ for type_, _ in sink.events] == ["ai.tool_called", "ai.tool_denied"] * 2


@pytest.mark.parametrize("budget", [Budget(turns=2), Budget(usd=0.005)])
async def test_an_exceeded_budget_ends_the_run(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, budget: Budget
) -> None:
    profile = AgentProfile(name="poor", capabilities=WRITER.capabilities, budget=budget)
    look = {"tool": "ls", "args": {"path": "."}, "tokens": [1000, 1000], "wait": 0.7}
    result = await executor.run(make_task(*[look] * 20, profile=profile), sink)
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert sink.total[2] < 0.012


async def test_a_timeout_ends_the_run(executor: OpenClawExecutor, sink: RecordingSink, make_task: Make) -> None:
    result = await executor.run(make_task({"say": "late", "wait": 30}, timeout=2.0), sink)
    assert result.failure
    assert result.failure.code == "executor_timeout"


async def test_a_failing_model_is_reported(executor: OpenClawExecutor, sink: RecordingSink, make_task: Make) -> None:
    refusing = AgentProfile(name="refused", capabilities=WRITER.capabilities, model="refusing/scripted")
    result = await executor.run(make_task({"status": 401}, profile=refusing), sink)
    assert result.failure
    assert result.failure.code == "executor_failed"
    assert "401" in result.failure.detail


async def test_a_wrong_token_and_a_missing_gateway(gateway: RealGateway, sink: RecordingSink, make_task: Make) -> None:
    result = await OpenClawExecutor(GatewayAddress(gateway.address.url, "wrong")).run(make_task(), sink)
    assert result.failure
    assert result.failure.code == "executor_refused"
    assert result.failure.hint == "see token in [executors] of stitcherd.toml"
    with pytest.raises(ExecutorUnavailable, match="cannot be reached"):
        await OpenClawExecutor(GatewayAddress("ws://127.0.0.1:9", None)).run(make_task(), sink)


async def test_without_a_capability_there_is_no_tool(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task(write("here"), {"say": "done"}, profile=AgentProfile(name="mute", capabilities=frozenset()))
    assert await executor.run(task, sink) == ExecutionResult()
    assert list(task.cwd.iterdir()) == []


async def test_only_the_listed_programs_run(executor: OpenClawExecutor, sink: RecordingSink, make_task: Make) -> None:
    steps = [run("sleep 0.1"), run("id > here"), run("git push"), run("sleep 0.1; touch here"), write("here")]
    task = make_task(*steps, {"say": "done"}, profile=RUNNER)
    assert await executor.run(task, sink) == ExecutionResult()
    assert list(task.cwd.iterdir()) == []
    assert [type_ for type_, _ in sink.events].count("ai.tool_denied") == 4


async def test_a_cancellation_during_a_tool_leaves_nothing_running(
    gateway: RealGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = asyncio.create_task(executor.run(make_task(run("sleep 4711"), profile=RUNNER), sink))
    await wait_for(lambda: processes("sleep 4711"))
    before = asyncio.get_running_loop().time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await wait_for(lambda: not processes("sleep 4711"))
    assert asyncio.get_running_loop().time() - before < SOON
    assert (await session(gateway, sink))["archived"]


CLIENT = """
import asyncio, json, sys
from pathlib import Path
import msgspec
from stitcherd.executors.base import AgentProfile, Task
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.executors.openclaw.executor import OpenClawExecutor
class Sink:
    def write(self, data): pass
    def record_prompt(self, text): pass
    async def record_event(self, type_, payload): pass
    async def add_usage(self, usage, reference=None): pass
    async def save_reference(self, reference): print(json.dumps(reference), flush=True)
url, token, job, prompt, work, profile = sys.argv[1:]
work, profile = Path(work), msgspec.json.decode(profile, type=AgentProfile)
task = Task(job_id=job, attempt=1, number=1, prompt=prompt, cwd=work, timeout=60.0, run_command=None,
            profile=profile)
asyncio.run(OpenClawExecutor(GatewayAddress(url, token)).run(task, Sink()))
"""


async def test_a_run_outlives_its_client_and_is_found_again(
    gateway: RealGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task(run("sleep 6.5"), {"say": "found"}, profile=RUNNER)
    profile = msgspec.json.encode(task.profile).decode()
    argv = [sys.executable, "-c", CLIENT, gateway.address.url, str(gateway.address.token)]
    argv += [task.job_id, task.prompt, str(task.cwd), profile]
    client = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    assert client.stdout
    reference = msgspec.json.decode(await client.stdout.readline())
    await wait_for(lambda: processes("sleep 6.5"))
    client.kill()
    await client.communicate()
    assert await executor.resume(task, reference, sink) == ExecutionResult()
    assert sink.output.endswith(b"found\n")
    assert sink.reference["runs"] == reference["runs"]
    assert not processes("sleep 6.5")


async def test_a_stopping_gateway_finishes_the_run(
    gateway: RealGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = asyncio.create_task(executor.run(make_task(run("sleep 5.5"), {"say": "done"}, profile=RUNNER), sink))
    await wait_for(lambda: processes("sleep 5.5"))
    await asyncio.to_thread(gateway.send, "restart")
    assert await running == ExecutionResult()
    assert sink.output.endswith(b"done\n")


async def test_the_run_of_a_deleted_session_is_over(
    gateway: RealGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task({"say": "nothing to do"}, profile=RUNNER)  # its session is archived before it returns
    assert await executor.run(task, sink) == ExecutionResult()
    await delete_session(gateway, sink.reference["key"])
    async with asyncio.timeout(SOON):
        await executor.terminate(sink.reference)
        await executor._terminator.finish(sink.reference["key"])


def test_no_process_is_left() -> None:
    assert not [pid for pid in processes("sleep 4711") if pid != os.getpid()]
