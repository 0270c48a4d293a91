"""Judges the commit of a try: its gates, one after the other, in a checkout that no agent has touched."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from shared.models import Phase, StepType
from stitcherd.gates import BUILTINS, command
from stitcherd.gates.base import GateResult
from stitcherd.gates.diff_rules import DiffRulesInput
from stitcherd.git.checkout import Checkout
from stitcherd.git.gate_checkout import GateCheckout
from stitcherd.jobs.command_runner import CommandRunner
from stitcherd.rails.compiled import GateRule

GATE_FEEDBACK_BYTES = 12_000  # of a failed gate's output that the agent is shown


class GateRunner(Struct, frozen=True):
    """The gates of a job's type, before whom a commit comes."""

    around: CommandRunner

    async def judge(self, checkout: Checkout, commit: str | None, number: int) -> tuple[list[tuple[str, str]], bool]:
        """Return the required gates that failed, with what they printed, and whether one asks for an approval."""
        if not self.around.type.gates:
            return [], False
        tree = await self._gate_tree(checkout, commit, number)
        where = tree.path if tree else checkout.work
        failures, asks = [], False
        for gate in self.around.type.gates:
            async with await self.around.journal.open(Phase.VALIDATION, StepType.GATE, gate.name, number) as step:
                if tree and gate.run is not None:
                    await tree.renew()
                    await checkout.restore_from_base(where, gate.from_base)
                verdict = await self._ask(gate, checkout, commit, where, number, step.write)
                why = verdict.reason if gate.required else f"{verdict.reason} It is not required."
                step.ended(
                    verdict.exit_code,
                    None if verdict.ok else why,
                    reason=why if verdict.flaky or verdict.asks else None,
                )
            asks = asks or (gate.required and verdict.asks)
            if gate.required and not verdict.ok:
                failures.append((gate.name, step.tail(GATE_FEEDBACK_BYTES) or verdict.reason))
        if tree:
            await tree.close()
        return failures, asks

    async def _gate_tree(self, checkout: Checkout, commit: str | None, number: int) -> GateCheckout | None:
        """Return a checkout of the commit, prepared; None for a job without a repository."""
        if self.around.repository is None:
            return None
        tree = await GateCheckout.make(checkout, f"gates-{number}", commit or str(checkout.base))
        if self.around.repository.prepare:
            await self.around.prepare(checkout, tree.path, await checkout.scratch("gates"), Phase.VALIDATION)
            await tree.prepared(again=sum(gate.run is not None for gate in self.around.type.gates) > 1)
        return tree

    async def _ask(
        self,
        gate: GateRule,
        checkout: Checkout,
        commit: str | None,
        where: Path,
        number: int,
        write: Callable[[bytes], None],
    ) -> GateResult:
        if gate.run is None:
            terms = DiffRulesInput(gate.paths, gate.timeout, self.around.journal.redaction.clean)
            return await BUILTINS[str(gate.builtin)](checkout, commit, terms, write)
        # What an agent, or another gate, left in its own TMPDIR is not there to be found by this one.
        env = self.around.environment(await checkout.scratch("gates"), number, gate.env)
        return await command.run_command_gate(
            self.around.boxed(gate.box, where, env)(gate.run),
            cwd=where,
            env=env,
            timeout=gate.timeout,
            retries=gate.retries,
            write=write,
            job_id=self.around.job.id,
            root=checkout.directory,
            watch=self.around.watch(gate.box, where, env),
        )
