"""Prepares the gateway for a run: the profile's agent, its allow list, the session of the attempt; and ends the run."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from stitcherd.executors.openclaw.connection import REQUEST_TIMEOUT_SECONDS, GatewayConnection
from stitcherd.executors.openclaw.permissions import AgentPermissions, NotEnforceable
from stitcherd.executors.openclaw.protocol import (
    ChatHistory,
    GatewaySession,
    RequestRefused,
    RunReference,
    convert_or_none,
)

WRITE_ATTEMPTS = 5  # to change a configuration that somebody else changes at the same time
END_TIMEOUT_SECONDS = 0.7  # to end a run; twice, on a bad connection, within two seconds


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


async def configure_agent(gateway: GatewayConnection, permissions: AgentPermissions) -> str:
    """Write the agent and its allow list of programs into the configuration where they are missing, or were changed.

    Return the hash of the configuration that has them. Needs ADMIN_SCOPES; not to be called twice at the same time.
    Raises NotEnforceable if the gateway does not keep them, RequestRefused and GatewayLost.
    """
    await _configure_allow_list(gateway, permissions)
    return await _configure_entry(gateway, permissions)


async def prepare_session(
    gateway: GatewayConnection, permissions: AgentPermissions, key: str, cwd: Path, model: str | None, *, reopen: bool
) -> str:
    """Open the session with this key, confined to the checkout, and return its id; its agent is configured.

    `reopen` is for the session of an earlier try. Needs ADMIN_SCOPES. Raises NotEnforceable if the gateway does not
    apply the mode, RequestRefused, GatewayLost, and msgspec.ValidationError for an unexpected answer.
    """
    wanted = {"key": key, "agentId": permissions.agent, "permissionMode": permissions.mode, "cwd": str(cwd)}
    answer = await gateway.request("sessions.create", wanted | ({"model": model} if model else {}))
    made = msgspec.convert(answer, _CreatedSession)
    if made.entry.permission_mode != permissions.mode or Path(made.entry.session_root) != cwd.resolve():
        await archive_session(gateway, key, made.session_id)
        raise NotEnforceable("the gateway does not confine the session to the checkout")
    if reopen:
        await gateway.request("sessions.patch", {"key": key, "archived": False, "expectedSessionId": made.session_id})
    return made.session_id


async def check_tools(gateway: GatewayConnection, permissions: AgentPermissions, key: str, session: str) -> None:
    """Check that the gateway offers a session no tool beyond the permissions; otherwise archive it.

    Raises NotEnforceable, RequestRefused, GatewayLost, and msgspec.ValidationError for an unexpected answer.
    """
    offered = msgspec.convert(await gateway.request("tools.effective", {"sessionKey": key}), _EffectiveTools)
    if extra := {tool.id for group in offered.groups for tool in group.tools} - permissions.tools:
        await archive_session(gateway, key, session)
        raise NotEnforceable(f"the gateway would offer it {', '.join(sorted(extra))} too")


async def has_transcript(gateway: GatewayConnection, key: str) -> bool:
    """Return whether the session with this key has a transcript. Raises RequestRefused and GatewayLost."""
    answer = await gateway.request("chat.history", {"sessionKey": key, "limit": 1})
    history = convert_or_none(answer, ChatHistory)
    return history is not None and bool(history.messages)


async def count_configured(gateway: GatewayConnection, wanted: Collection[AgentPermissions]) -> int:
    """Return how many of these agents the gateway has with the right content; needs ADMIN_SCOPES."""
    if not wanted:
        return 0
    config = await gateway.request("config.get", {})
    return sum(
        _value_at(config, "sourceConfig", "agents", "entries", permissions.agent) == permissions.entry
        for permissions in wanted
    )


async def end_run(gateway: GatewayConnection, reference: RunReference, seconds: float = END_TIMEOUT_SECONDS) -> None:
    """End a run and its commands, so that it cannot be resumed. Raises GatewayLost and RequestRefused.

    Deleting a session ends its run too, so nothing is left to do where the gateway does not have it any more.
    """
    try:
        await archive_session(gateway, reference.key, reference.session, seconds)
    except RequestRefused:
        if (await describe_session(gateway, reference.key)).session_id == reference.session:
            raise


async def describe_session(gateway: GatewayConnection, key: str) -> GatewaySession:
    """Return the gateway's description of a session, an empty one if it has none with this key.

    Raises GatewayLost and RequestRefused.
    """
    answer = await gateway.request("sessions.describe", {"key": key})
    return convert_or_none(answer.get("session"), GatewaySession) or GatewaySession()


async def archive_session(
    gateway: GatewayConnection, key: str, session: str, seconds: float = REQUEST_TIMEOUT_SECONDS
) -> None:
    """Archive a session: its run and the commands of it end, and no run can be started or resumed in it."""
    await gateway.request("sessions.patch", {"key": key, "archived": True, "expectedSessionId": session}, seconds)


async def _configure_entry(gateway: GatewayConnection, permissions: AgentPermissions) -> str:
    """Write the agent's entry of the configuration if it is missing, or was changed; return the hash of it all."""
    place = f"agents.entries.{permissions.agent}"

    def change(config: dict[str, Any]) -> dict[str, Any] | None:
        present = _value_at(config, "sourceConfig", "agents", "entries", permissions.agent)
        if present == permissions.entry:
            return None
        patch = {"agents": {"entries": {permissions.agent: _merge_patch(present, permissions.entry)}}}
        return {"raw": msgspec.json.encode(patch).decode(), "replacePaths": [f"{place}.tools.allow", f"{place}.skills"]}

    return await _update_until_stable(gateway, "config.get", "config.patch", change)


async def _configure_allow_list(gateway: GatewayConnection, permissions: AgentPermissions) -> None:
    """Write the agent's allow list of programs if it is missing, or was changed."""
    wanted = [program.rule() for program in permissions.programs]

    def change(approvals: dict[str, Any]) -> dict[str, Any] | None:
        file = _value_at(approvals, "file") or {}
        agents = _value_at(file, "agents") or {}
        if "*" in agents:
            raise NotEnforceable("the gateway has exec approvals for all agents, and they widen every list")
        present = _value_at(agents, permissions.agent) or {}
        listed = [
            {key: rule[key] for key in rule.keys() & {"pattern", "argPattern"}} for rule in present.get("allowlist", [])
        ]
        if listed == wanted and present.get("security") == "allowlist":
            return None
        approval = {"security": "allowlist", "ask": "off", "allowlist": wanted}
        return {"file": {**file, "agents": {**agents, permissions.agent: approval}}}

    if wanted:
        await _update_until_stable(gateway, "exec.approvals.get", "exec.approvals.set", change)


async def _update_until_stable(
    gateway: GatewayConnection,
    get: str,
    put: str,
    change: Callable[[dict[str, Any]], dict[str, Any] | None],
) -> str:
    """Apply a change until none is left to apply, and return the hash of the result.

    The base hash detects concurrent writers.
    """
    for _ in range(WRITE_ATTEMPTS):
        present = await gateway.request(get, {})
        params = change(present)
        if params is None:
            return str(present.get("hash") or "")
        try:
            await gateway.request(put, {**params, "baseHash": present.get("hash")})
        except RequestRefused:
            if (await gateway.request(get, {})).get("hash") == present.get("hash"):
                raise
    raise NotEnforceable("the gateway does not keep what Stitcher writes into its configuration")


def _value_at(value: Any, *keys: str) -> Any:
    """Return the value under these nested keys, or None if one of them is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _merge_patch(present: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON merge patch (RFC 7396) that turns `present` into `wanted`."""
    known = present if isinstance(present, dict) else {}
    removed = dict.fromkeys(known.keys() - wanted.keys())
    return removed | {
        key: _merge_patch(known.get(key), value) if isinstance(value, dict) else value for key, value in wanted.items()
    }
