"""The gates: what must hold of a commit before its job is completed; builtins by the name that rails use."""

from collections.abc import Awaitable, Callable, Mapping

from stitcherd.gates.result import GateResult

BUILTINS: Mapping[str, Callable[..., Awaitable[GateResult]]] = {}
