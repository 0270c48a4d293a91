"""Tests a run of an agent: its events, permissions, usage, budget and ends."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from shared.ids import new_id
from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.acp.executor import AcpExecutor
from stitcherd.executors.base import AgentProfile, ExecutionResult, Task
from stitcherd.jobs.command_runner import CommandRunner
from stitcherd.processes.tree import find_job_processes
from tests.stitcherd.executors.acp.fake_agent import agent_argv

END = ["end", "end_turn"]
OPTIONS = [{"kind": kind, "optionId": kind} for kind in ("allow_always", "allow_once", "reject_once")]


class Sink:
    """Keeps all that is reported."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.raw = bytearray()
        self.prompts: list[str] = []
        self.written = asyncio.Event()
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.usage: list[Usage] = []

    def write(self, data: bytes) -> None:
        self.output += data
        self.written.set()

    def write_raw(self, data: bytes) -> None:
        self.raw += data

    def record_prompt(self, text: str) -> None:
        self.prompts.append(text)

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None:
        self.events.append((type_, payload))

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None:
        assert reference is None
        self.usage.append(usage)

    async def save_reference(self, reference: dict[str, str]) -> None:
        raise AssertionError(reference)

    def total(self, field: str) -> float:
        return float(sum(getattr(each, field) for each in self.usage))


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
def task(tmp_path: Path) -> Task:
    work, tmp = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    tmp.mkdir()
    job_id = new_id()  # the workers of pytest-xdist may have directories of the same name
    commands = CommandRunner(job_id=job_id, attempt=1, root=tmp_path, cwd=work, tmp=tmp, environ=os.environ)
    profile = AgentProfile(name="writer", capabilities=frozenset({"repo:write"}))
    run = commands.run
    return Task(job_id=job_id, attempt=1, number=1, prompt="Do", cwd=work, timeout=20, run_command=run, profile=profile)


async def play(task: Task, sink: Sink, *script: list[Any]) -> ExecutionResult:
    return await AcpExecutor(agent_argv(list(script))).run(task, sink)


def permission(kind: str, *paths: str) -> list[Any]:
    call = {"toolCallId": f"{kind}-1", "kind": kind, "title": f"{kind} it", "locations": [{"path": p} for p in paths]}
    return ["ask", "session/request_permission", {"sessionId": "s", "toolCall": call, "options": OPTIONS}]


def tool_call(number: int) -> list[Any]:
    return ["update", {"sessionUpdate": "tool_call", "toolCallId": str(number), "kind": "read", "title": "look"}]


async def test_permissions_are_answered_for_one_call_and_denials_are_events(task: Task, sink: Sink) -> None:
    result = await play(task, sink, permission("edit", "a"), permission("edit", "/etc/x"), permission("execute"), END)
    assert result.ok
    answers = [json.loads(line)["outcome"]["optionId"] for line in (task.cwd / "answers").read_text().splitlines()]
    assert answers == ["allow_once", "reject_once", "reject_once"]
    assert [(kind, event.get("reason")) for kind, event in sink.events if kind == "ai.tool_denied"] == [
        ("ai.tool_denied", "/etc/x is not inside the checkout"),
        ("ai.tool_denied", "the profile does not have the capability exec:run"),
    ]


async def test_a_method_that_is_not_offered_is_refused(task: Task, sink: Sink) -> None:
    assert (await play(task, sink, ["ask", "fs/read_text_file", {"path": "/etc/passwd"}], END)).ok
    assert json.loads((task.cwd / "answers").read_text())["code"] == -32601


async def test_raw_output_has_no_pieces_of_text(task: Task, sink: Sink) -> None:
    pieces = [["say", "the key is a-sec"], ["say", "ret-word"]]
    assert (await play(task, sink, *pieces, tool_call(1), END)).ok
    assert b"a-secret-word" in sink.output, "there it is masked"
    assert b"tool_call" in sink.raw
    assert b"a-sec" not in sink.raw
    assert b"ret-word" not in sink.raw


async def test_a_tool_call_is_one_event_and_usage_is_what_was_told(task: Task, sink: Sink) -> None:
    done = ["update", {"sessionUpdate": "tool_call_update", "toolCallId": "1", "status": "completed"}]
    costs = [
        ["update", {"sessionUpdate": "usage_update", "cost": {"amount": amount, "currency": "USD"}}]
        for amount in (0.25, 0.25, 0.75)
    ]
    usage = {"usage": {"inputTokens": 70, "outputTokens": 8}}
    assert (await play(task, sink, tool_call(1), done, *costs, ["end", "end_turn", usage])).ok
    assert sink.events == [("ai.tool_called", {"tool": "read", "detail": "look", "callId": "1"})]
    methods = [json.loads(line).get("method") for line in sink.raw.splitlines()]
    assert methods.count("session/update") == 5, "what the agent sent is kept as it is"
    total = tuple(sink.total(field) for field in Usage.__struct_fields__)
    assert total == (70, 8, 0.75, 2)


@pytest.mark.parametrize(
    ("budget", "what"), [(Budget(turns=2), "began turn 3, and its budget is 2"), (Budget(usd=0.5), "has used 0.75 USD")]
)
async def test_a_budget_ends_the_run(task: Task, sink: Sink, budget: Budget, what: str) -> None:
    assert task.profile
    bound = structs.replace(task, profile=structs.replace(task.profile, budget=budget))
    cost = ["update", {"sessionUpdate": "usage_update", "cost": {"amount": 0.75, "currency": "USD"}}]
    result = await play(bound, sink, tool_call(1), cost, tool_call(2), ["hang"])
    assert result.failure
    assert result.failure.code == "budget_exceeded"
    assert what in result.failure.detail
    assert find_job_processes(task.job_id, task.cwd.parent) == []


@pytest.mark.parametrize(
    ("reason", "detail"),
    [
        ("refusal", "The agent refused to continue."),
        ("cancelled", "The agent cancelled the prompt by itself."),
        ("max_tokens", "The agent reached the limit of tokens."),
        ("else", "The agent stopped: else."),
    ],
)
async def test_any_other_end_is_a_failure(task: Task, sink: Sink, reason: str, detail: str) -> None:
    result = await play(task, sink, ["end", reason])
    assert result.failure
    assert (result.failure.code, result.failure.detail) == ("executor_failed", detail)


@pytest.mark.parametrize("code", [0, 3])
async def test_an_exit_before_the_answer_is_a_failure_with_what_the_agent_printed(
    task: Task, sink: Sink, code: int
) -> None:
    result = await play(task, sink, ["exit", code])
    assert result.failure
    wanted = f"The agent ended with exit code {code} before it answered: first / the key is missing."
    assert (result.failure.code, result.failure.detail) == ("executor_failed", wanted)


async def test_a_program_that_is_missing_cannot_start(task: Task, sink: Sink) -> None:
    result = await AcpExecutor(("no-such-agent",)).run(task, sink)
    assert result.failure
    assert result.failure.code == "executor_cannot_start"


@pytest.mark.parametrize("last", [["await-cancel"], ["hang"]])
async def test_a_cancel_is_told_to_the_agent_and_ends_all_that_it_started(
    task: Task, sink: Sink, last: list[Any]
) -> None:
    run = asyncio.create_task(play(task, sink, ["child"], ["say", "up\n"], last))
    async with asyncio.timeout(20):
        await sink.written.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert find_job_processes(task.job_id, task.cwd.parent) == []
    assert (task.cwd / "cancelled").exists() == (last == ["await-cancel"])


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\n",
        b"{\n[]\n3\nnull\n",
        b"[" * 20_000 + b"\n",
        b'{"id": 99, "result": 1}\n{"id": {}, "result": 1}\n{"id": "x", "error": null}\n',
        b'{"method": "session/update"}\n{"method": "session/update", "params": {"update": [1]}}\n',
        b'{"method": "session/update", "params": {"update": {"sessionUpdate": "tool_call", "locations": 3}}}\n',
        b'{"method": "session/request_permission", "params": 3}\n',
        b'{"method": "session/request_permission", "id": null}\n{"method": "x", "id": null}\n',
    ],
)
async def test_nothing_that_an_agent_writes_is_an_exception(task: Task, sink: Sink, raw: bytes) -> None:
    assert (await play(task, sink, ["raw", raw.hex()], ["say", "still here"], END)).ok
    assert b"still here" in sink.output
