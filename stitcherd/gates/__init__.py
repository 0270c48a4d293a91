"""The gates: what must hold of a commit before its job is completed; builtins by the name that rails use."""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from stitcherd.gates import diff_rules
from stitcherd.gates.base import GateResult
from stitcherd.gates.diff_rules import DiffRulesInput
from stitcherd.git.checkout import Checkout

RunBuiltin = Callable[[Checkout, str | None, DiffRulesInput, Callable[[bytes], None]], Awaitable[GateResult]]


class BuiltinGate(NamedTuple):
    """A gate that Stitcher has built in; `enforces_paths`: it refuses commits that violate the section `paths`."""

    run: RunBuiltin
    enforces_paths: bool = False


BUILTINS: Mapping[str, BuiltinGate] = {"diff-rules": BuiltinGate(diff_rules.check_diff, enforces_paths=True)}
