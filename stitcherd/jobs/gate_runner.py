"""Runs the gates of a job's type on the commit of a try, one after the other, where no agent has been."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Failure, Phase, StepType
from stitcherd.config.settings import RepositorySettings
from stitcherd.gates import run_builtin_gate
from stitcherd.gates.base import GateInput, GateResult
from stitcherd.gates.command import run_command_gate
from stitcherd.git.checkout import Checkout
from stitcherd.git.gate_checkout import GateCheckout
from stitcherd.jobs.command_runner import AttemptFailed, CommandRunner, prepare_repository
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.rails.compiled import GateRule, JobType

GATE_FEEDBACK_BYTES = 12_000  # of a failed gate's output that the agent is shown


class GateRunner(Struct, frozen=True, kw_only=True):
    """Runs the gates of one attempt; `commands` runs commands as the job's agent runs, in its checkout."""

    type: JobType
    repository: RepositorySettings | None
    checkout: Checkout
    commands: CommandRunner
    recorder: StepRecorder

    async def run(self, commit: str | None, number: int) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
        """Run all gates on the commit of try `number`.

        Return the required gates that failed, each with its output, and for what required gates need an approval.
        Raises AttemptFailed, GitError, OSError.
        """
        if not self.type.gates:
            return [], ()
        gate_checkout = await self._check_out(commit, number)
        directory = gate_checkout.path if gate_checkout else self.checkout.work
        failures: list[tuple[str, str]] = []
        approvals: dict[str, None] = {}
        for gate in self.type.gates:
            time_limit = None if gate.run is None else gate.timeout * (1 + gate.retries)
            async with await self.recorder.open(Phase.VALIDATION, StepType.GATE, gate.name, number, time_limit) as step:
                if gate_checkout and gate.run is not None:
                    await gate_checkout.renew()
                    await self.checkout.restore_from_base(directory, gate.from_base)
                result = await self._run_gate(gate, commit, directory, number, step.write)
                reason = result.reason if gate.required else f"{result.reason} It is not required."
                step.finish(
                    result.exit_code,
                    None if result.ok else reason,
                    reason=reason if result.flaky or result.asks else None,
                )
            if gate.required and result.cannot_start:  # no agent can change that
                hint = f"see gates.{gate.name}.run in rails.yaml"
                raise AttemptFailed(Failure("gate_unavailable", f"gate {gate.name}: {result.reason}", hint))
            if gate.required:
                approvals |= dict.fromkeys(result.asks)
            if gate.required and not result.ok:
                failures.append((gate.name, step.tail(GATE_FEEDBACK_BYTES) or result.reason))
        if gate_checkout:
            await gate_checkout.close()
        return failures, tuple(approvals)

    async def _check_out(self, commit: str | None, number: int) -> GateCheckout | None:
        """Return a prepared checkout of the commit, or of the base without one.

        None for a job without a repository, and where all gates are built in: these read the commit itself.
        """
        programs = sum(gate.run is not None for gate in self.type.gates)
        if self.repository is None or programs == 0:
            return None
        sha = commit or str(self.checkout.base)
        async with await self.recorder.open(Phase.VALIDATION, StepType.COMMAND, "gate tree", number) as step:
            gate_checkout = await GateCheckout.create(self.checkout, f"gates-{number}", sha)
            step.write(f"{self.checkout.repairs.take_notes()}{sha}\n".encode())
            step.finish(0)
        if self.repository.prepare:
            shown = self.checkout.shared_objects
            tmp = await self.checkout.make_tmp("gates")
            commands = replace(self.commands, cwd=gate_checkout.path, tmp=tmp, shown=shown)
            timeout = self.type.profile.timeout
            await prepare_repository(self.repository, commands, self.recorder, Phase.VALIDATION, timeout)
            await gate_checkout.keep_prepared(several=programs > 1)
        return gate_checkout

    async def _run_gate(
        self, gate: GateRule, commit: str | None, directory: Path, number: int, write: Callable[[bytes], None]
    ) -> GateResult:
        if gate.run is None:
            return await run_builtin_gate(GateInput(self.checkout, commit, gate, self.recorder.redaction.mask), write)
        commands = replace(
            self.commands,
            number=number,
            cwd=directory,
            tmp=await self.checkout.make_tmp("gates"),  # new: what an agent or another gate left in theirs is not there
            env_names=gate.env,
            sandbox=gate.box,
            shown=self.checkout.shared_objects,
        )
        return await run_command_gate(
            commands.run, gate.run, timeout=gate.timeout, write=write, retries=gate.retries, expect=gate.expect
        )
