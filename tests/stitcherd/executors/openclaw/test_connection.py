"""Tests runs with broken connections, restarted gateways, and answers that are late, duplicate or malformed."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from shared import backoff
from shared.models import Usage
from stitcherd.executors.base import INTERRUPTED, ExecutionResult, Task
from stitcherd.executors.openclaw import run
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.fake_gateway import FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

Make = Callable[..., Task]
PATIENCE = 10.0


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "DELAYS", (0.02,))
    monkeypatch.setattr(run, "FIND_POLL_SECONDS", 0.02)
    monkeypatch.setattr(run, "FIND_KNOWN_SECONDS", 0.5)
    monkeypatch.setattr(run, "FIND_SECONDS", 0.3)


async def wait_until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 (the requests of a gateway have no event)
            await asyncio.sleep(0.01)


def start(executor: OpenClawExecutor, task: Task, sink: RecordingSink) -> asyncio.Task[ExecutionResult]:
    return asyncio.create_task(executor.run(task, sink))


def is_interrupted(result: ExecutionResult) -> bool:
    return result.failure is not None and result.failure.code == INTERRUPTED


async def wait_until_held(gateway: FakeGateway) -> None:
    async with asyncio.timeout(PATIENCE):
        await gateway.held.wait()


async def test_a_broken_connection_is_reopened_and_nothing_is_counted_twice(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["use", 100, 10, 0.5], ["hold"], ["use", 7, 1, 0.25]), sink)
    await wait_until_held(gateway)
    await gateway.drop()
    await wait_until(lambda: gateway.params_of("chat.history"))
    gateway.released.set()
    assert await running == ExecutionResult()
    assert len(gateway.params_of("agent")) == 1
    assert sink.usages == [Usage(100, 10, 0.5, 1), Usage(7, 1, 0.25, 1)]


async def test_usage_while_disconnected_is_counted(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["hold"], ["use", 7, 1, 0.25]), sink)
    await wait_until_held(gateway)
    await gateway.drop()
    gateway.released.set()
    assert await running == ExecutionResult()
    assert sink.total == (7, 1, 0.25)


async def test_a_lost_acknowledgement_starts_no_second_run(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    agent = gateway._agent

    async def breaks(params: dict[str, Any]) -> Any:
        answer = agent(params)
        del gateway.answers["agent"]
        await gateway.drop()
        return answer

    gateway.answers["agent"] = breaks
    assert await executor.run(make_task(), sink) == ExecutionResult()
    first, second = gateway.params_of("agent")
    assert first == second
    assert len(gateway.runs) == 1


async def test_a_run_is_not_requested_again_from_a_restarted_gateway(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    async def dies(_: dict[str, Any]) -> Any:
        await gateway.crash()
        return {}

    gateway.answers["agent"] = dies
    result = await executor.run(make_task(), sink)
    assert result.failure
    assert result.failure.code == "interrupted"
    assert len(gateway.params_of("agent")) == 1


async def test_late_duplicate_and_malformed_frames_are_ignored(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    agent = gateway._agent

    async def odd(params: dict[str, Any]) -> Any:
        for socket in gateway.sockets:
            for text in ("no json", "[]", '{"type":7}', '{"type":"res","id":"unknown","ok":true}', '{"type":"new"}'):
                await socket.send_str(text)
        for data in (None, 7, {"kind": 7}, {"phase": None}):
            await gateway.tell("agent", {"runId": "job-1-1", "stream": "item", "data": data})
        await gateway.tell("session.message", {"message": 7})
        await gateway.tell("agent", {"runId": "another", "stream": "assistant", "data": {"text": "not ours"}})
        answer = agent(params)
        await asyncio.sleep(0.05)
        return answer

    gateway.answers["agent"] = odd
    assert await executor.run(make_task(["say", "ours"]), sink) == ExecutionResult()
    assert bytes(sink.output).strip() == b"ours"


async def test_a_second_answer_to_the_same_request_is_ignored(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    async def twice(socket: Any, frame: dict[str, Any]) -> None:
        await answer(socket, frame)
        if frame["method"] == "agent":
            await socket.send_str(json.dumps({"type": "res", "id": frame["id"], "ok": False, "error": {"code": "X"}}))

    answer = gateway._answer
    gateway._answer = twice  # type: ignore[method-assign]
    assert await executor.run(make_task(["say", "x"]), sink) == ExecutionResult()


async def test_a_silent_gateway_is_reconnected(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.policy["tickIntervalMs"] = 50
    running = start(executor, make_task(["hold"]), sink)
    await wait_until_held(gateway)
    await wait_until(lambda: len(gateway.params_of("connect")) > 3)
    gateway.released.set()
    assert await running == ExecutionResult()


async def test_a_missing_answer_does_not_end_the_run(
    gateway: FakeGateway,
    executor: OpenClawExecutor,
    sink: RecordingSink,
    make_task: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "WAIT_CALL_SECONDS", 0.05)
    monkeypatch.setattr(run, "REQUEST_TIMEOUT_SECONDS", 0.05)
    wait = gateway._agent_wait

    async def hangs(_: dict[str, Any]) -> Any:
        gateway.answers["agent.wait"] = wait
        await asyncio.sleep(PATIENCE)

    gateway.answers["agent.wait"] = hangs
    running = start(executor, make_task(["hold"]), sink)
    await wait_until(lambda: len(gateway.params_of("connect")) > 1)
    gateway.released.set()
    assert await running == ExecutionResult()
    assert len(gateway.params_of("agent")) == 1


async def test_a_run_that_the_gateway_resumed_after_a_crash_is_taken_over(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["use", 100, 10, 0.5], ["hold"]), sink)
    await wait_until_held(gateway)
    await gateway.crash()
    (key,) = gateway.sessions
    gateway.held.clear()
    resumed = [["use", 7, 1, 0.25], ["hold"], ["say", "on"]]
    gateway.tasks["new"] = asyncio.create_task(gateway.play(key, "new", resumed))
    await wait_until(lambda: sink.reference["runs"] == "job-1-1 new")
    assert sink.reference["boot"] == "boot-1+"
    gateway.released.set()
    assert await running == ExecutionResult()
    assert sink.total == (107, 11, 0.75)
    assert b"on" in sink.output


async def test_a_resumed_run_is_ended_without_take_over(
    gateway: FakeGateway, sink: RecordingSink, make_task: Make
) -> None:
    running = start(OpenClawExecutor(gateway.address, take_over=False), make_task(["hold"]), sink)
    await wait_until_held(gateway)
    await gateway.crash()
    (key,) = gateway.sessions
    gateway.tasks["new"] = asyncio.create_task(gateway.play(key, "new", [["hold"]]))
    result = await running
    assert result.failure
    assert result.failure.code == "interrupted"
    assert gateway.tasks["new"].cancelled()


async def test_a_run_that_a_stopping_gateway_finished_is_a_success(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["use", 1, 1, 0.1], ["hold"]), sink)
    await wait_until_held(gateway)
    (key,) = gateway.sessions
    gateway.end(key, "job-1-1", {"status": "ok"})
    await gateway.crash()
    assert await running == ExecutionResult()


async def test_an_unknown_run_is_interrupted_and_cannot_be_resumed(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["hold"]), sink)
    await wait_until_held(gateway)
    await gateway.crash()
    result = await running
    assert result.failure
    assert result.failure.code == "interrupted"
    assert all(session.get("archived") for session in gateway.sessions.values())


async def test_a_cancellation_while_the_gateway_is_down_is_retried(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["hold"]), sink)
    await wait_until_held(gateway)
    await gateway.close()
    running.cancel()
    before = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.get_running_loop().time() - before < 2
    await gateway.open()
    await wait_until(lambda: all(session.get("archived") for session in gateway.sessions.values()))


async def test_a_hanging_gateway_does_not_delay_a_cancellation(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["hold"]), sink)
    await wait_until_held(gateway)
    awake = asyncio.Event()
    archive = gateway._sessions_patch

    async def hangs(params: dict[str, Any]) -> Any:
        await awake.wait()
        return await archive(params)

    gateway.answers["sessions.patch"] = hangs
    before = asyncio.get_running_loop().time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.get_running_loop().time() - before < 2
    awake.set()
    await wait_until(lambda: all(session.get("archived") for session in gateway.sessions.values()))


async def test_the_run_is_found_again_after_a_restart_of_the_daemon(
    gateway: FakeGateway, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task(["use", 100, 10, 0.5], ["hold"], ["use", 7, 1, 0.25], ["say", "end"])
    dying = OpenClawExecutor(gateway.address)
    running = start(dying, task, sink)
    await wait_until_held(gateway)
    await wait_until(lambda: sink.reference["input"] == "100")
    archive, gateway.answers["sessions.patch"] = gateway._sessions_patch, lambda _: {}  # a killed daemon ends nothing
    running.cancel()
    await asyncio.wait({running})
    gateway.answers["sessions.patch"] = archive
    second = RecordingSink()
    resuming = asyncio.create_task(OpenClawExecutor(gateway.address).resume(task, sink.reference, second))
    await wait_until(lambda: len(gateway.params_of("chat.history")) > 0)
    gateway.released.set()
    assert await resuming == ExecutionResult()
    assert second.usages == [Usage(7, 1, 0.25, 1)]
    assert len(gateway.params_of("agent")) == 1


async def test_a_run_that_ended_during_a_restart_is_reported(
    gateway: FakeGateway, sink: RecordingSink, make_task: Make
) -> None:
    task = make_task(["use", 100, 10, 0.5])
    await OpenClawExecutor(gateway.address).run(task, sink)
    second = RecordingSink()
    assert await OpenClawExecutor(gateway.address).resume(task, sink.reference, second) == ExecutionResult()
    assert second.usages == []


@pytest.mark.parametrize("reference", [{}, {"key": "k"}, {"key": "k", "session": "s", "runs": "r", "input": "x"}])
async def test_an_incomplete_reference_is_interrupted(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, reference: dict[str, str]
) -> None:
    assert is_interrupted(await executor.resume(make_task(), reference, sink))


async def test_a_terminated_run_is_interrupted_and_stays_ended(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = start(executor, make_task(["hold"]), sink)
    await wait_until_held(gateway)
    running.cancel()
    await asyncio.wait({running})
    assert is_interrupted(await executor.resume(make_task(), sink.reference, sink))
