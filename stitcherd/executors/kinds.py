"""The kinds of executors that this version has, and the executors that the settings make of them."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.base import Executor, ProfileConstraints
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.openclaw.connection import GatewayAddress
from stitcherd.executors.openclaw.executor import OpenClawExecutor
from stitcherd.executors.openclaw.permissions import NotEnforceable, agent_permissions

BOXABLE = frozenset({"command"})  # kinds whose agents are processes of ours, which a sandbox can hold
METERED = frozenset({"openclaw"})  # kinds that say what their agents use, and end those that use too much
TOOLLESS = frozenset({"command"})  # kinds that cannot hold an agent to a list of tools


def build(entries: Mapping[str, ExecutorSettings]) -> dict[str, Executor]:
    """Return the executors by name."""
    return {name: _executor(entry) for name, entry in entries.items()}


def usable(entries: Mapping[str, ExecutorSettings]) -> dict[str, str | None]:
    """Return for each executor None, or why it cannot be used."""
    return {name: _why_not(name, entry) for name, entry in entries.items()}


def objection(entry: ExecutorSettings, profile: ProfileConstraints) -> str | None:
    """Return what of a profile an executor cannot hold an agent to, as far as this can be said without asking it."""
    if entry.kind != "openclaw":
        return None
    try:
        agent_permissions(profile)
    except NotEnforceable as fault:
        return str(fault)
    return None


def _executor(entry: ExecutorSettings) -> Executor:
    if entry.kind == "command":
        return CommandExecutor(entry.argv)
    return OpenClawExecutor(GatewayAddress(str(entry.url), entry.token))


def _why_not(name: str, entry: ExecutorSettings) -> str | None:
    if entry.url is None or _is_loopback(urlsplit(entry.url).hostname or ""):
        return None
    return f"executor {name} is a gateway on another machine, where the checkout is not"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
