"""Makes the gateway ready for a run: the profile's agent, its allow list, the attempt's session, and a last look."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from stitcherd.executors.openclaw.connection import REQUEST_TIMEOUT_SECONDS, GatewayConnection
from stitcherd.executors.openclaw.permissions import AgentPermissions, NotEnforceable
from stitcherd.executors.openclaw.protocol import RequestRefused, RunReference

WRITE_ATTEMPTS = 5  # how often we begin again where somebody else changed the configuration in between


class _ToolEntry(Struct):
    id: str


class _ToolGroup(Struct):
    tools: list[_ToolEntry]


class _EffectiveTools(Struct):
    groups: list[_ToolGroup]


class _SessionEntry(Struct, rename="camel"):
    permission_mode: str = ""
    session_root: str = ""


class _CreatedSession(Struct, rename="camel"):
    session_id: str
    entry: _SessionEntry


async def prepare_session(
    gateway: GatewayConnection, terms: AgentPermissions, key: str, cwd: Path, model: str | None, *, again: bool
) -> str:
    """Return the id of the session with this key, open and bounded by the terms; `again` is for one of an earlier try.

    Needs an administrator's connection. Raises NotEnforceable where the session is not as the terms have it,
    Refused where the gateway says no, Lost, and msgspec.ValidationError where an answer has another shape.
    """
    await _configure_allow_list(gateway, terms)
    await _configure_agent(gateway, terms)
    session = await _open_session(gateway, terms, key, cwd, model, again=again)
    offered = msgspec.convert(await gateway.request("tools.effective", {"sessionKey": key}), _EffectiveTools)
    if extra := {tool.id for group in offered.groups for tool in group.tools} - terms.tools:
        await archive_session(gateway, key, session)
        raise NotEnforceable(f"the gateway would offer it {', '.join(sorted(extra))} too")
    return session


async def count_configured(gateway: GatewayConnection, wanted: Collection[AgentPermissions]) -> int:
    """Return how many of these agents the gateway has as they should be; needs an administrator's connection."""
    if not wanted:
        return 0
    config = await gateway.request("config.get", {})
    return sum(_value_at(config, "sourceConfig", "agents", "entries", terms.agent) == terms.entry for terms in wanted)


async def archive_session(
    gateway: GatewayConnection, key: str, session: str, seconds: float = REQUEST_TIMEOUT_SECONDS
) -> None:
    """End what runs in a session, with its commands, and let nothing start or be resumed there."""
    await gateway.request("sessions.patch", {"key": key, "archived": True, "expectedSessionId": session}, seconds)


async def _open_session(
    gateway: GatewayConnection, terms: AgentPermissions, key: str, cwd: Path, model: str | None, *, again: bool
) -> str:
    wanted = {"key": key, "agentId": terms.agent, "permissionMode": terms.mode, "cwd": str(cwd)}
    answer = await gateway.request("sessions.create", wanted | ({"model": model} if model else {}))
    made = msgspec.convert(answer, _CreatedSession)
    if made.entry.permission_mode != terms.mode or Path(made.entry.session_root) != cwd.resolve():
        await archive_session(gateway, key, made.session_id)
        raise NotEnforceable("the gateway does not hold the session to the checkout")
    if again:
        await gateway.request("sessions.patch", {"key": key, "archived": False, "expectedSessionId": made.session_id})
    return made.session_id


async def _configure_agent(gateway: GatewayConnection, terms: AgentPermissions) -> None:
    """Write the agent where it is missing, or not as its name says."""
    at = f"agents.entries.{terms.agent}"

    def change(config: dict[str, Any]) -> dict[str, Any] | None:
        there = _value_at(config, "sourceConfig", "agents", "entries", terms.agent)
        if there == terms.entry:
            return None
        patch = {"agents": {"entries": {terms.agent: _merge_patch(there, terms.entry)}}}
        return {"raw": msgspec.json.encode(patch).decode(), "replacePaths": [f"{at}.tools.allow", f"{at}.skills"]}

    await _update_until_stable(gateway, "config.get", "config.patch", change)


async def _configure_allow_list(gateway: GatewayConnection, terms: AgentPermissions) -> None:
    """Write the agent's list of programs where it is missing, or another."""
    wanted = [command.rule() for command in terms.commands]

    def change(approvals: dict[str, Any]) -> dict[str, Any] | None:
        file = _value_at(approvals, "file") or {}
        agents = _value_at(file, "agents") or {}
        if "*" in agents:
            raise NotEnforceable("the gateway has exec approvals for all agents, and they widen every list")
        there = _value_at(agents, terms.agent) or {}
        listed = [
            {key: rule[key] for key in rule.keys() & {"pattern", "argPattern"}} for rule in there.get("allowlist", [])
        ]
        if listed == wanted and there.get("security") == "allowlist":
            return None
        mine = {"security": "allowlist", "ask": "off", "allowlist": wanted}
        return {"file": {**file, "agents": {**agents, terms.agent: mine}}}

    if wanted:
        await _update_until_stable(gateway, "exec.approvals.get", "exec.approvals.set", change)


async def _update_until_stable(
    gateway: GatewayConnection, get: str, put: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    """Change what the gateway keeps until there is nothing to change; somebody else may write it at the same time."""
    for _ in range(WRITE_ATTEMPTS):
        there = await gateway.request(get, {})
        wanted = change(there)
        if wanted is None:
            return
        try:
            await gateway.request(put, {**wanted, "baseHash": there.get("hash")})
        except RequestRefused:
            if (await gateway.request(get, {})).get("hash") == there.get("hash"):
                raise
    raise NotEnforceable("the gateway does not keep what Stitcher writes into its configuration")


def _value_at(value: Any, *keys: str) -> Any:
    """Return what stands under these keys; None where one of them is not there."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _merge_patch(there: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes `wanted` of what is there: what somebody added is taken out by null."""
    known = there if isinstance(there, dict) else {}
    gone = dict.fromkeys(known.keys() - wanted.keys())
    return gone | {
        key: _merge_patch(known.get(key), value) if isinstance(value, dict) else value for key, value in wanted.items()
    }


END_TIMEOUT_SECONDS = 0.7  # that the end of a run is waited for; twice, if the connection is bad, within two seconds


async def end_run(gateway: GatewayConnection, reference: RunReference) -> None:
    """End a run, its commands too, and let nothing be resumed; raises Lost and Refused."""
    await archive_session(gateway, reference.key, reference.session, END_TIMEOUT_SECONDS)
