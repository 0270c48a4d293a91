"""Tests a run from its start to its end while the connection holds."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from shared.models import Failure, Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import AgentProfile, ExecutionResult, ExecutorHealth, ExecutorUnavailable, Task
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from tests.stitcherd.executors.openclaw.conftest import READER
from tests.stitcherd.executors.openclaw.fake_gateway import ANSWERED_RUN, ENDED_RUN, ErrorAnswer, FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

Make = Callable[..., Task]


async def test_a_run_is_in_the_session_of_the_attempt_and_reports_what_it_does(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    steps = [["say", "I "], ["say", "look"], ["tool", "read", ""], ["use", 100, 10, 0.5], ["say", " done"]]
    assert await executor.run(make_task(*steps), sink) == ExecutionResult()
    (made,) = gateway.params_of("sessions.create")
    (asked,) = gateway.params_of("agent")
    assert made["key"] == asked["sessionKey"] == f"agent:{asked['agentId']}:stitcher:job-1"
    assert (made["permissionMode"], made["cwd"]) == ("read-only", str(make_task().cwd))
    assert (asked["idempotencyKey"], asked["timeout"]) == ("job-1-1", 10)
    assert sink.output.startswith(b"I look\n[read it]\n")
    assert sink.events == [("ai.tool_called", {"tool": "read", "detail": "read it", "callId": "c"})]
    assert sink.usages == [Usage(100, 10, 0.5, 1)]


async def test_the_reference_is_saved_before_the_run_starts(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    saved: list[dict[str, str]] = []

    def agent(params: dict[str, Any]) -> Any:
        saved.append(dict(sink.reference))
        return gateway._agent(params)

    gateway.answers["agent"] = agent
    await executor.run(make_task(), sink)
    assert (saved[0]["runs"], saved[0]["boot"]) == ("job-1-1", "boot-1")


async def test_the_next_try_is_a_run_in_the_same_session(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert (await executor.run(make_task(["use", 100, 10, 0.5]), sink)).ok
    assert (await executor.run(make_task(["use", 7, 1, 0.25], number=2), sink)).ok
    assert [params["idempotencyKey"] for params in gateway.params_of("agent")] == ["job-1-1", "job-1-2"]
    assert len(gateway.sessions) == 1
    assert sink.usages == [Usage(100, 10, 0.5, 1), Usage(7, 1, 0.25, 1)]


async def test_a_denied_tool_is_reported_and_does_not_end_the_run(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    assert (await executor.run(make_task(["tool", "exec", "Tool exec not found"]), sink)).ok
    assert sink.events[1][0] == "ai.tool_denied"
    assert sink.events[1][1]["reason"] == "Tool exec not found"


async def test_usage_missing_from_the_transcript_is_taken_from_the_session(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    sums = {"inputTokens": 300, "outputTokens": 30, "estimatedCostUsd": 1.5}
    gateway.answers["sessions.describe"] = lambda params: {"session": gateway.sessions[params["key"]] | sums}
    await executor.run(make_task(["use", 100, 10, 0.5]), sink)
    assert sink.usages == [Usage(100, 10, 0.5, 1), Usage(200, 20, 1.0)]


@pytest.mark.parametrize(
    ("answer", "code", "part"),
    [
        ({**ENDED_RUN, "status": "timeout"}, "executor_timeout", "after 10 s"),
        ({**ENDED_RUN, "stopReason": "toolUse", "livenessState": "paused"}, "executor_timeout", "after 10 s"),
        ({**ENDED_RUN, "status": "error", "stopReason": "rpc"}, "interrupted", "not by its agent"),
        (
            {**ENDED_RUN, "status": "error", "livenessState": "abandoned", "stopReason": ""},
            "interrupted",
            "abandoned the run",
        ),
        ({**ENDED_RUN, "status": "error", "stopReason": "", "error": "401\n no"}, "executor_failed", "failed: 401 no"),
        (ENDED_RUN, "executor_failed", "without an answer"),
        ({**ANSWERED_RUN, "stopReason": "length"}, "executor_failed", "(ok, length)"),
        ({**ANSWERED_RUN, "terminalReply": 7}, "executor_failed", "without an answer"),
    ],
)
async def test_only_a_visible_answer_is_a_success(
    executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, answer: dict[str, Any], code: str, part: str
) -> None:
    result = await executor.run(make_task(["end", answer]), sink)
    assert result.failure
    assert result.failure.code == code
    assert part in result.failure.detail


async def test_a_run_that_the_gateway_does_not_end_in_time_is_ended_by_us(
    gateway: FakeGateway,
    executor: OpenClawExecutor,
    sink: RecordingSink,
    make_task: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stitcherd.executors.openclaw.executor.OVERRUN_SECONDS", 0.1)
    result = await executor.run(make_task(["hold"], timeout=0.2), sink)
    assert result.failure
    assert result.failure.code == "executor_timeout"
    assert gateway.tasks["job-1-1"].cancelled()


@pytest.mark.parametrize(
    ("budget", "steps", "detail"),
    [
        (Budget(turns=2), [["turn"]] * 3, "The agent began turn 3, and its budget is 2."),
        (Budget(usd=1.0), [["use", 1, 1, 0.75]] * 2, "The agent has used 1.5 USD, and its budget is 1 USD."),
    ],
)
async def test_an_exceeded_budget_ends_the_run(
    gateway: FakeGateway,
    executor: OpenClawExecutor,
    sink: RecordingSink,
    make_task: Make,
    budget: Budget,
    steps: Any,
    detail: str,
) -> None:
    profile = AgentProfile(name="p", capabilities=frozenset({"repo:read"}), budget=budget)
    result = await executor.run(make_task(*steps, ["hold"], profile=profile), sink)
    assert result.failure == Failure("budget_exceeded", detail, "see limits.budget in rails.yaml")
    assert gateway.tasks["job-1-1"].cancelled()


async def test_a_cancelled_run_is_over_when_the_call_returns(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    running = asyncio.create_task(executor.run(make_task(["hold"]), sink))
    async with asyncio.timeout(20):
        await gateway.held.wait()
    before = asyncio.get_running_loop().time()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert asyncio.get_running_loop().time() - before < 2
    assert gateway.tasks["job-1-1"].cancelled()
    assert all(session["archived"] for session in gateway.sessions.values())


async def test_a_gateway_that_is_down_is_unavailable(
    gateway: FakeGateway, sink: RecordingSink, make_task: Make
) -> None:
    await gateway.close()
    with pytest.raises(ExecutorUnavailable, match="cannot be reached"):
        await OpenClawExecutor(gateway.address).run(make_task(), sink)
    assert sink.reference == {}


async def test_a_gateway_that_is_not_ready_is_unavailable(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    def starting(_: dict[str, Any]) -> Any:
        raise ErrorAnswer("UNAVAILABLE", "startup-sidecars", retryable=True)

    gateway.answers["connect"] = starting
    with pytest.raises(ExecutorUnavailable, match="startup-sidecars"):
        await executor.run(make_task(), sink)


async def test_a_wrong_token_is_a_failure_with_a_hint(
    gateway: FakeGateway, sink: RecordingSink, make_task: Make
) -> None:
    result = await OpenClawExecutor(GatewayAddress(gateway.address.url, "wrong")).run(make_task(), sink)
    assert result.failure == Failure(
        "executor_refused",
        "The gateway refused connect: unauthorized: gateway token mismatch.",
        "see token in [executors] of stitcherd.toml",
    )


async def test_another_protocol_version_is_refused(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.protocol = 5
    result = await executor.run(make_task(), sink)
    assert result.failure
    assert "protocol 5" in result.failure.detail


async def test_an_answer_of_another_shape_is_a_failure(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.answers["tools.effective"] = lambda _: {"tools": []}
    result = await executor.run(make_task(), sink)
    assert result.failure
    assert "understands: Object missing required field `groups`" in result.failure.detail
    assert not gateway.params_of("agent")


async def test_a_prompt_that_is_too_large_is_not_sent(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    result = await executor.run(make_task(["say", "x" * 200_000]), sink)
    assert result.failure
    assert "at most 100000 bytes" in result.failure.detail
    assert not gateway.params_of("agent")


async def test_health_reports_version_protocol_and_agents(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    profiles = [READER, AgentProfile(name="mute"), AgentProfile(name="boxed", sandbox="bwrap")]
    health = await executor.health(profiles)
    assert health == ExecutorHealth(
        ok=True,
        detail="OpenClaw 2026.9.6, protocol 4, 0 of 2 agents in place",
        version="2026.9.6",
        protocol=4,
        agents=(0, 2),
    )
    await executor.run(make_task(), sink)
    assert (await executor.health(profiles)).agents == (1, 2)
    await gateway.close()
    health = await executor.health(profiles)
    assert (health.ok, health.away) == (False, True)
    assert health.detail.endswith("cannot be reached: connection refused")


async def test_a_gateway_that_refuses_is_not_away(gateway: FakeGateway) -> None:
    health = await OpenClawExecutor(GatewayAddress(gateway.address.url, "wrong")).health([])
    assert (health.ok, health.away) == (False, False)
