"""Tests that a further try goes on in the session of the try before with only what is new, where the gateway has it."""

import json
from collections.abc import Callable

import pytest

from shared.models import Usage
from stitcherd.executors.base import AgentProfile, ExecutionResult, PreviousTry, Task
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.fake_gateway import FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

Make = Callable[..., Task]
NEWS = json.dumps([["use", 7, 1, 0.25], ["say", "mended"]])
WHOLE = [["use", 50, 5, 0.5], ["say", "again"]]


async def run_second(
    executor: OpenClawExecutor, make_task: Make, sink: RecordingSink, profile: AgentProfile | None = None
) -> ExecutionResult:
    """Run a second try after the one whose reference the sink has."""
    more = {} if profile is None else {"profile": profile}
    task = make_task(*WHOLE, number=2, previous=PreviousTry(sink.reference, NEWS), **more)
    return await executor.run(task, sink)


async def test_the_next_try_is_sent_only_what_is_new(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await executor.run(make_task(["use", 100, 10, 0.5]), sink)
    session = sink.reference["session"]
    assert await run_second(executor, make_task, sink) == ExecutionResult()
    first, second = gateway.params_of("agent")
    assert (second["message"], second["sessionKey"]) == (NEWS, first["sessionKey"])
    assert sink.events == [("ai.session_resumed", {"session": session})]
    assert sink.usages == [Usage(100, 10, 0.5, 1), Usage(7, 1, 0.25, 1)]
    assert len(gateway.params_of("tools.effective")) == 2


async def test_a_session_that_is_gone_is_replaced_by_one_with_the_whole_prompt(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await executor.run(make_task(), sink)
    session = sink.reference["session"]
    await executor._terminator.finish(sink.reference["key"])
    gateway.sessions.clear()
    assert await run_second(executor, make_task, sink) == ExecutionResult()
    assert json.loads(gateway.params_of("agent")[1]["message"]) == WHOLE
    assert sink.reference["session"] != session
    reason = "the gateway does not have it any more"
    assert sink.events == [("ai.session_lost", {"session": session, "reason": reason})]
    assert sink.usages == [Usage(50, 5, 0.5, 1)]


async def test_a_session_without_its_transcript_is_sent_the_whole_prompt(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await executor.run(make_task(), sink)
    for session in gateway.sessions.values():
        session["rows"].clear()
    assert await run_second(executor, make_task, sink) == ExecutionResult()
    assert json.loads(gateway.params_of("agent")[1]["message"]) == WHOLE
    assert sink.events[0][1]["reason"] == "the gateway has lost its transcript"


async def test_other_permissions_are_another_session(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    await executor.run(make_task(), sink)
    writer = AgentProfile(name="writer", capabilities=frozenset({"repo:write"}))
    assert await run_second(executor, make_task, sink, writer) == ExecutionResult()
    assert json.loads(gateway.params_of("agent")[1]["message"]) == WHOLE
    assert [type_ for type_, _ in sink.events] == ["ai.session_lost"]
    assert len(gateway.sessions) == 2


@pytest.mark.parametrize("extra", ["browser", "exec"])
async def test_a_session_that_was_widened_is_not_gone_on_in(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, extra: str
) -> None:
    await executor.run(make_task(), sink)
    gateway.extra = [extra]
    result = await run_second(executor, make_task, sink)
    assert result.failure
    assert result.failure.code == "constraints_not_enforced"
    assert sink.events == []
