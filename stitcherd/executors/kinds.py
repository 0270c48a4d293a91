"""The kinds of executors that this version has, and the executors that the settings make of them."""

from collections.abc import Mapping

from stitcherd.executors import Executor
from stitcherd.executors.command import CommandExecutor
from stitcherd.settings_tables import ExecutorSettings

TOOLLESS = frozenset({"command"})  # kinds that cannot hold an agent to a list of tools


def build(entries: Mapping[str, ExecutorSettings]) -> dict[str, Executor]:
    """Return the executors by name; one of a kind that this version has not is left out."""
    return {name: CommandExecutor(entry.argv) for name, entry in entries.items() if entry.kind == "command"}


def usable(entries: Mapping[str, ExecutorSettings]) -> dict[str, str | None]:
    """Return for each executor None, or why it cannot be used."""
    return {
        name: None
        if entry.kind == "command"
        else f"executor {name} is of kind {entry.kind}, which this version has not"
        for name, entry in entries.items()
    }
