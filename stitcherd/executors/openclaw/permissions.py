"""Translates a profile into the gateway's permissions: an agent of its configuration, and the mode of a session.

Only what the gateway enforces regardless of the model counts; a profile that asks for more is refused.
"""

import hashlib
import re
from typing import Any

import msgspec
from msgspec import Struct

from stitcherd.executors.base import ProfileConstraints

TOOLS_BY_CAPABILITY = {
    "repo:read": ("read", "ls"),
    "repo:write": ("write", "edit", "apply_patch"),
    "exec:run": ("exec", "process"),
    "web:read": ("web_fetch", "web_search"),
}
WRITE_TOOLS = frozenset(TOOLS_BY_CAPABILITY["repo:write"])
IMPLIED_TOOLS = {"write": "apply_patch"}  # the gateway offers the second wherever the first is allowed
_CAPABILITY_OF_TOOL = {tool: capability for capability, tools in TOOLS_BY_CAPABILITY.items() for tool in tools}
_PROGRAM_NAME = re.compile(r"[A-Za-z0-9_./+-]+\Z")  # no wildcard: the gateway would expand it


class NotEnforceable(Exception):
    """The gateway cannot enforce a profile; the text says which part of it."""


class AllowedProgram(Struct, frozen=True):
    """A program that an agent may run, and a pattern (ECMAScript) that all its arguments, as one text, must match."""

    program: str
    arguments: str | None

    def rule(self) -> dict[str, str]:
        """Return the program as an entry of the gateway's allow list."""
        return {"pattern": self.program} | ({"argPattern": f"^(?:{self.arguments})$"} if self.arguments else {})


class AgentPermissions(Struct, frozen=True):
    """What the gateway enforces for a profile; `agent` is a hash of the content, so that it names only this content."""

    agent: str
    entry: dict[str, Any]  # of the gateway's configuration
    mode: str  # of the session: read-only or guarded
    tools: frozenset[str]  # all that may be offered to the model
    programs: tuple[AllowedProgram, ...]


def agent_permissions(profile: ProfileConstraints) -> AgentPermissions:
    """Return the permissions that enforce a profile. Raises NotEnforceable."""
    if profile.sandbox != "none":
        raise NotEnforceable(
            f"its agents run in the gateway, where Stitcher's sandbox {profile.sandbox} does not reach"
        )
    tools, programs = _allowed_tools(profile)
    entry = {
        "skills": [],
        "tools": {
            # An empty allow list would allow everything.
            **({"allow": sorted(tools)} if tools else {"deny": ["*"]}),
            "fs": {"workspaceOnly": True},
            "exec": {"mode": "allowlist" if programs else "deny"},
        },
    }
    content = msgspec.json.encode([entry, [program.rule() for program in programs]], order="sorted")
    agent = f"st-{hashlib.sha256(content).hexdigest()[:12]}"
    mode = "guarded" if programs or tools & WRITE_TOOLS else "read-only"
    offered = tools | {IMPLIED_TOOLS[tool] for tool in tools & IMPLIED_TOOLS.keys()}
    return AgentPermissions(agent, entry, mode, offered, programs)


def _allowed_tools(profile: ProfileConstraints) -> tuple[frozenset[str], tuple[AllowedProgram, ...]]:
    if profile.tools is None:
        if "exec:run" in profile.capabilities:
            raise NotEnforceable("exec:run needs tools that name the programs, like exec:make")
        granted = (TOOLS_BY_CAPABILITY.get(capability, ()) for capability in profile.capabilities)
        return frozenset(tool for tools in granted for tool in tools), ()
    tools, programs = set(), []
    for written in profile.tools:
        tool, colon, program = written.partition(":")
        if tool not in _CAPABILITY_OF_TOOL:
            raise NotEnforceable(f"the tool {tool} is not one that Stitcher gives to an agent")
        if _CAPABILITY_OF_TOOL[tool] not in profile.capabilities:
            raise NotEnforceable(f"the tool {tool} needs the capability {_CAPABILITY_OF_TOOL[tool]}")
        if tool == "exec":
            programs.append(_allowed_program(program))
        elif colon:
            raise NotEnforceable(f"only exec takes a program, and {written} names one")
        tools.add(tool)
    if "process" in tools and not programs:
        raise NotEnforceable("the tool process needs an exec: beside it")
    return frozenset(tools), tuple(dict.fromkeys(programs))


def _allowed_program(written: str) -> AllowedProgram:
    program, _, arguments = written.strip().partition(" ")
    if not program:
        # In the mode in which a shell may run anything, the gateway's file tools are not confined to the checkout.
        raise NotEnforceable(
            "exec alone is a free shell, which nothing confines to the checkout: name programs, like exec:make"
        )
    if not _PROGRAM_NAME.match(program):
        raise NotEnforceable(f"{program} is not a program's name or path")
    return AllowedProgram(program, arguments.strip() or None)
