"""Tests what a finished run waits for: the end of commands that it may have left, and of nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from stitcherd.executors.base import AgentProfile, ExecutionResult, Task
from stitcherd.executors.openclaw import run
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.fake_gateway import ENDED_RUN, ErrorAnswer, FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

Make = Callable[..., Task]
PATIENCE = 10.0
RUNNER = AgentProfile(name="runner", capabilities=frozenset({"exec:run"}), tools=("exec:make",))


class SlowArchive:
    """Makes a gateway archive nothing until it is told to; `asked` is set by the first request."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.asked = asyncio.Event()
        self.released = asyncio.Event()
        self._patch = gateway._sessions_patch
        gateway.answers["sessions.patch"] = self._answer

    async def _answer(self, params: dict[str, Any]) -> Any:
        if params["archived"]:
            self.asked.set()
            await self.released.wait()
        return await self._patch(params)


def refuse_changed_session(params: dict[str, Any]) -> Any:
    raise ErrorAnswer("INVALID_REQUEST", f"Session {params['key']} changed before patch. Retry.")


async def within(awaitable: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


async def wait_until_archived(gateway: FakeGateway) -> None:
    async with asyncio.timeout(PATIENCE):
        while not all(session.get("archived") for session in gateway.sessions.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_run_that_can_leave_nothing_does_not_wait_for_the_archive(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    slow = SlowArchive(gateway)
    assert await within(executor.run(make_task(), sink)) == ExecutionResult()
    await within(slow.asked.wait())
    slow.released.set()
    await wait_until_archived(gateway)


async def test_commands_that_a_run_may_have_left_are_ended_before_it_returns(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert await executor.run(make_task(profile=RUNNER), sink) == ExecutionResult()
    assert [session.get("archived") for session in gateway.sessions.values()] == [True]


async def test_a_run_without_an_answer_is_ended_before_it_returns(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert not (await executor.run(make_task(["end", ENDED_RUN]), sink)).ok
    assert [session.get("archived") for session in gateway.sessions.values()] == [True]


async def test_the_next_try_waits_for_the_end_of_the_one_before(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    slow = SlowArchive(gateway)
    await within(executor.run(make_task(), sink))
    following = asyncio.create_task(executor.run(make_task(number=2), sink))
    await within(slow.asked.wait())
    await asyncio.sleep(0.05)
    assert len(gateway.params_of("sessions.create")) == 1
    slow.released.set()
    assert await within(following) == ExecutionResult()
    assert [patch["archived"] for patch in gateway.params_of("sessions.patch")][:2] == [True, False]
    await wait_until_archived(gateway)


async def test_the_end_of_a_run_whose_session_was_deleted_is_not_tried_again(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await within(executor.run(make_task(), sink))
    await wait_until_archived(gateway)
    gateway.sessions.clear()
    gateway.answers["sessions.patch"] = refuse_changed_session
    before = len(gateway.params_of("sessions.patch"))
    await within(executor.terminate(sink.reference))
    await within(executor._terminator.finish(sink.reference["key"]))
    assert len(gateway.params_of("sessions.patch")) == before + 1


async def test_the_end_of_a_run_is_tried_again_while_the_gateway_has_its_session(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await within(executor.run(make_task(), sink))
    await wait_until_archived(gateway)
    accept = gateway._sessions_patch

    def refuse_once(params: dict[str, Any]) -> Any:
        gateway.answers["sessions.patch"] = accept
        return refuse_changed_session(params)

    gateway.answers["sessions.patch"] = refuse_once
    before = len(gateway.params_of("sessions.patch"))
    await within(executor.terminate(sink.reference))
    await within(executor._terminator.finish(sink.reference["key"]))
    assert len(gateway.params_of("sessions.patch")) == before + 2


async def test_a_run_needs_one_connection_until_it_is_over(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert await executor.run(make_task(profile=RUNNER), sink) == ExecutionResult()
    assert len(gateway.params_of("connect")) == 1


async def test_a_busy_gateway_may_begin_late_with_a_run_that_it_accepted(
    gateway: FakeGateway,
    executor: OpenClawExecutor,
    sink: RecordingSink,
    make_task: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run, "WAIT_CALL_SECONDS", 0.02)
    monkeypatch.setattr(run, "FIND_POLL_SECONDS", 0.02)
    monkeypatch.setattr(run, "FIND_SECONDS", 0.05)
    accept = gateway._agent

    def late(params: dict[str, Any]) -> Any:
        asyncio.get_running_loop().call_later(0.5, accept, params)
        return {"runId": params["idempotencyKey"], "status": "accepted"}

    gateway.answers["agent"] = late
    assert await within(executor.run(make_task(["say", "late"]), sink)) == ExecutionResult()
    assert sink.output == b"late"
