"""The built-in gates, by their name in rails.yaml; a new one is one module and one line of the table."""

import asyncio
from collections.abc import Mapping

from stitcherd.gates import diff_rules
from stitcherd.gates.base import BuiltinGate, GateInput, GateResult, Write
from stitcherd.git import GitError

BUILTINS: Mapping[str, BuiltinGate] = {
    "diff-rules": BuiltinGate(diff_rules.check_commit, enforces_paths=True),
}


async def run_builtin_gate(gate_input: GateInput, write: Write) -> GateResult:
    """Run the built-in gate of a rule, for at most the timeout of the rule."""
    rule = gate_input.rule
    try:
        async with asyncio.timeout(rule.timeout):
            return await BUILTINS[str(rule.builtin)].run(gate_input, write)
    except TimeoutError:
        return GateResult(ok=False, reason=f"The gate was still running after {rule.timeout:g} s and was ended.")
    except GitError as error:
        return GateResult(ok=False, reason=f"The change could not be read: {error}")
