"""The kinds of executors, by their `kind` in stitcherd.toml; a new kind is one module and one line of the table."""

from collections.abc import Mapping

from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.acp.executor import AcpExecutor
from stitcherd.executors.base import Executor
from stitcherd.executors.command import CommandExecutor
from stitcherd.executors.openclaw.executor import OpenClawExecutor

EXECUTORS: Mapping[str, type[Executor]] = {
    "acp": AcpExecutor,
    "command": CommandExecutor,
    "openclaw": OpenClawExecutor,
}


def build_executors(tables: Mapping[str, ExecutorSettings]) -> dict[str, Executor]:
    """Return the executors of the [executors] tables, by name."""
    return {name: EXECUTORS[table.kind].from_settings(table) for name, table in tables.items()}
