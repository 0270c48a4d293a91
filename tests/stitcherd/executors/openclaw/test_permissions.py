"""Tests which profiles OpenClaw can enforce, what it is configured with, and the check before a run."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.base import AgentProfile, ExecutionResult, Task
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.executors.openclaw.permissions import TOOLS_BY_CAPABILITY, NotEnforceable, agent_permissions
from tests.stitcherd.executors.openclaw.fake_gateway import ErrorAnswer, FakeGateway
from tests.stitcherd.executors.openclaw.recording_sink import RecordingSink

Make = Callable[..., Task]
ALL = frozenset(TOOLS_BY_CAPABILITY)


def profile(*tools: str, may: frozenset[str] = ALL, **more: Any) -> AgentProfile:
    return AgentProfile(name="p", capabilities=may, tools=tools or None, **more)


@pytest.mark.parametrize(
    ("asked", "mode", "offered", "exec_mode"),
    [
        (profile(may=frozenset({"repo:read"})), "read-only", {"read", "ls"}, "deny"),
        (profile("read"), "read-only", {"read"}, "deny"),
        (profile("write"), "guarded", {"write", "apply_patch"}, "deny"),
        (profile("read", "exec:make", "exec:git (status|diff).*"), "guarded", {"read", "exec"}, "allowlist"),
        (profile("read", "web_fetch"), "read-only", {"read", "web_fetch"}, "deny"),
        (profile(may=frozenset({"issue:read"})), "read-only", set(), "deny"),
    ],
)
def test_a_profile_becomes_permissions_of_the_gateway(
    asked: AgentProfile, mode: str, offered: set[str], exec_mode: str
) -> None:
    found = agent_permissions(asked)
    assert (found.mode, set(found.tools), found.entry["tools"]["exec"]["mode"]) == (mode, offered, exec_mode)
    assert found.entry["tools"]["fs"] == {"workspaceOnly": True}
    assert found.entry["skills"] == []


def test_no_tools_is_a_denial_since_an_empty_list_would_allow_all() -> None:
    tools = agent_permissions(profile(may=frozenset())).entry["tools"]
    assert "allow" not in tools
    assert tools["deny"] == ["*"]


def test_arguments_must_match_entirely() -> None:
    commands = agent_permissions(profile("exec:/usr/bin/git status|diff", "exec:make")).programs
    assert [command.rule() for command in commands] == [
        {"pattern": "/usr/bin/git", "argPattern": "^(?:status|diff)$"},
        {"pattern": "make"},
    ]


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (profile("exec"), "free shell"),
        (profile("exec: "), "free shell"),
        (profile("exec:*"), "not a program"),
        (profile("exec:~/bin/x"), "not a program"),
        (profile("read:x"), "only exec takes a program"),
        (profile("process"), "needs an exec:"),
        (profile("gateway"), "not one that Stitcher gives"),
        (profile("write", may=frozenset({"repo:read"})), "needs the capability repo:write"),
        (profile(), "exec:run needs tools"),
        (profile("read", sandbox="bwrap"), "sandbox bwrap does not reach"),
    ],
)
def test_what_cannot_be_enforced_is_refused(asked: AgentProfile, part: str) -> None:
    with pytest.raises(NotEnforceable, match=part.replace("*", "[*]")):
        agent_permissions(asked)


def test_an_objection_is_known_without_asking_the_gateway() -> None:
    assert "free shell" in (OpenClawExecutor.objection(profile("exec")) or "")
    assert OpenClawExecutor.objection(profile("read")) is None


def test_a_gateway_on_another_machine_is_unusable() -> None:
    urls = ("ws://127.0.0.1:1", "ws://localhost:1", "wss://[::1]:1", "wss://claw.example.org")
    tables = [ExecutorSettings.model_construct(name="claw", kind="openclaw", url=url) for url in urls]
    assert [OpenClawExecutor.unusable(table) is None for table in tables] == [True, True, True, False]


names = st.sampled_from(
    [tool for tools in TOOLS_BY_CAPABILITY.values() for tool in tools if tool not in {"exec", "process"}]
)


@given(st.lists(names, min_size=1), st.lists(names, min_size=1))
def test_the_name_of_an_agent_depends_on_its_content(first: list[str], second: list[str]) -> None:
    one, other = agent_permissions(profile(*first)), agent_permissions(profile(*second))
    assert (one.agent == other.agent) == (one.entry == other.entry) == (set(first) == set(second))


@given(st.text())
def test_any_name_of_a_tool_is_allowed_or_refused(text: str) -> None:
    try:
        found = agent_permissions(profile(text))
    except NotEnforceable:
        return
    assert found.tools <= {tool for tools in TOOLS_BY_CAPABILITY.values() for tool in tools}
    assert all("*" not in command.program for command in found.programs)


async def test_the_agent_is_configured_once(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    for number in (1, 2):
        assert (
            await executor.run(make_task(number=number, profile=profile("read", "exec:make")), sink)
            == ExecutionResult()
        )
    expected = agent_permissions(profile("read", "exec:make"))
    assert gateway.entries == {expected.agent: expected.entry}
    assert len(gateway.params_of("config.patch")) == len(gateway.params_of("exec.approvals.set")) == 1
    assert gateway.approvals["agents"][expected.agent]["allowlist"] == [{"pattern": "make"}]


async def test_a_changed_agent_is_restored(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    expected = agent_permissions(profile("read"))
    gateway.entries[expected.agent] = {"tools": {"allow": ["exec"], "alsoAllow": ["exec"]}, "sandbox": {}}

    def merged(there: Any, patch: Any) -> Any:
        if not isinstance(patch, dict):
            return patch
        there = there if isinstance(there, dict) else {}
        return {
            key: merged(there.get(key), patch[key]) if key in patch else there[key]
            for key in there.keys() | patch.keys()
            if patch.get(key, 0) is not None
        }

    def patch(params: dict[str, Any]) -> Any:
        wanted = json.loads(params["raw"])["agents"]["entries"]
        gateway.entries = merged(gateway.entries, wanted)
        return {}

    gateway.answers["config.patch"] = patch
    assert await executor.run(make_task(profile=profile("read")), sink) == ExecutionResult()
    assert gateway.entries[expected.agent] == expected.entry


async def test_a_concurrent_change_of_the_configuration_is_retried(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    def stale(_: dict[str, Any]) -> Any:
        del gateway.answers["config.patch"]
        gateway.entries["of another program"] = {}
        raise ErrorAnswer("STALE")

    gateway.answers["config.patch"] = stale
    assert await executor.run(make_task(), sink) == ExecutionResult()


async def refused(executor: OpenClawExecutor, sink: RecordingSink, task: Task) -> str:
    result = await executor.run(task, sink)
    assert result.failure
    assert result.failure.code == "constraints_not_enforced"
    assert sink.reference == {}
    return result.failure.detail


async def test_nothing_starts_if_the_gateway_would_offer_another_tool(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.extra = ["browser"]
    detail = await refused(executor, sink, make_task())
    assert detail == "Profile reader cannot be enforced in OpenClaw: the gateway would offer it browser too."
    assert not gateway.params_of("agent")
    assert all(session["archived"] for session in gateway.sessions.values())


async def test_the_tools_are_asked_for_again_once_something_that_decides_them_has_changed(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    async def questions(task: Task) -> int:
        before = len(gateway.params_of("tools.effective"))
        assert await executor.run(replace(task, job_id=uuid.uuid4().hex), sink) == ExecutionResult()
        return len(gateway.params_of("tools.effective")) - before

    assert [await questions(make_task()), await questions(make_task())] == [1, 0]
    gateway.entries["of another program"] = {}
    assert [await questions(make_task()), await questions(make_task())] == [1, 0]
    gateway.boot = "boot-2"
    assert [await questions(make_task()), await questions(make_task())] == [1, 0]
    other = make_task(profile=profile(may=frozenset({"repo:read"}), model="another"))
    assert [await questions(other), await questions(other)] == [1, 0]
    gateway.extra, gateway.boot = ["browser"], "boot-3"
    result = await executor.run(replace(make_task(), job_id=uuid.uuid4().hex), sink)
    assert result.failure and result.failure.code == "constraints_not_enforced"  # noqa: PT018


async def test_the_tools_are_asked_for_each_time_by_a_gateway_that_tells_no_hash(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    get = gateway._config_get
    gateway.answers["config.get"] = lambda params: {"sourceConfig": get(params)["sourceConfig"]}
    for _ in range(2):
        await executor.run(replace(make_task(), job_id=uuid.uuid4().hex), sink)
    assert len(gateway.params_of("tools.effective")) == 2


@pytest.mark.parametrize("entry", [{}, {"permissionMode": "full", "sessionRoot": "/"}, {"permissionMode": "read-only"}])
async def test_a_session_that_is_not_confined_to_the_checkout_is_not_used(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make, entry: dict[str, str]
) -> None:
    create = gateway._sessions_create
    gateway.answers["sessions.create"] = lambda params: {**create(params), "entry": entry}
    assert "does not confine the session" in await refused(executor, sink, make_task())


async def test_a_gateway_that_keeps_no_changes_is_given_up(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.answers["config.patch"] = lambda _: {"ok": True}
    assert "does not keep" in await refused(executor, sink, make_task())


async def test_an_allow_list_for_all_agents_is_refused(
    gateway: FakeGateway, executor: OpenClawExecutor, sink: RecordingSink, make_task: Make
) -> None:
    gateway.approvals = {"agents": {"*": {"allowlist": [{"pattern": "rm"}]}}}
    assert "widen every list" in await refused(executor, sink, make_task(profile=profile("exec:make")))
