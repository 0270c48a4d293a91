"""The gates: what must hold of a commit before its job is completed; builtins by the name that rails use."""

from collections.abc import Awaitable, Callable, Mapping

from stitcherd.gates import diff_rules
from stitcherd.gates.base import GateResult
from stitcherd.gates.diff_rules import DiffRulesInput
from stitcherd.git.checkout import Checkout

Builtin = Callable[[Checkout, str | None, DiffRulesInput, Callable[[bytes], None]], Awaitable[GateResult]]

BUILTINS: Mapping[str, Builtin] = {"diff-rules": diff_rules.check_diff}
