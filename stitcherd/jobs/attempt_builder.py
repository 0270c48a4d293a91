"""Collects what one attempt of a claimed job needs: its rails, executor, repository, prompt and approval."""

import os
from collections.abc import Awaitable, Callable, Mapping
from itertools import chain

from msgspec import structs

from shared.models import Failure, RunnerJob
from stitcherd.config.settings import Settings
from stitcherd.executors.base import Executor
from stitcherd.git.checkout import Checkouts
from stitcherd.jobs.attempt import Attempt
from stitcherd.jobs.command_runner import AttemptFailed
from stitcherd.jobs.env_secrets import passed_secrets
from stitcherd.jobs.job_start import FindHead
from stitcherd.jobs.outputs import Outputs
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.policy import ApprovalRequest, ConcurrencyLimits
from stitcherd.rails.compiled import CompiledRails, GateRule, JobType
from stitcherd.store import approvals, interruptions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.steps import Claimed
from stitcherd.store.store import Store

RailsLookup = Callable[[str], Awaitable[CompiledRails]]


class AttemptBuilder:
    """Builds attempts; `find_rails` returns the rails with a digest or raises LookupError.

    `current_limits` returns what may run now, `minted_secrets` the tokens that are masked besides configured ones,
    `find_head` the head of a change as its forge has it.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        find_rails: RailsLookup,
        executors: Mapping[str, Executor],
        checkouts: Checkouts,
        outputs: Outputs,
        current_limits: Callable[[], ConcurrencyLimits],
        minted_secrets: Callable[[], frozenset[bytes]],
        find_head: FindHead,
    ) -> None:
        self._store = store
        self._settings = settings
        self._find_rails = find_rails
        self._executors = executors
        self._checkouts = checkouts
        self._outputs = outputs
        self._current_limits = current_limits
        self._minted_secrets = minted_secrets
        self._find_head = find_head

    async def build(
        self, claimed: Claimed, writes: DeferredWrites, resumable: interruptions.ResumableTry | None = None
    ) -> Attempt:
        """Return the attempt; raises AttemptFailed where its executor, repository, rails or type of job are gone."""
        job = claimed.job
        try:
            executor = self._executors[job.executor]
            if resumable is not None and job.cancel_requested:
                raise AttemptFailed(Failure("cancelled", "the job was cancelled"))
            rails = await self._find_rails(job.rails_digest)
            type_ = rails.jobs[job.type]
        except LookupError as missing:
            detail = f"its executor, its rails or its type no longer exist: {missing}"
            raise AttemptFailed(
                Failure("rails_unavailable", detail, "dispatch it again under today's rails")
            ) from missing
        repository = self._settings.repository(job.repository) if job.repository else None
        if job.repository and repository is None:
            detail = f"stitcherd.toml has no entry for {job.repository} any more"
            raise AttemptFailed(Failure("checkout_failed", detail, "add one to its repositories, then retry the job"))
        # Only a job that waited for the approval of its commit is claimed after a try of the same attempt.
        waited = resumable is None and job.tries.used > 0
        approved, changed = await self._find_granted(claimed) if waited else (None, False)
        daemon = self._settings.daemon
        return Attempt(
            job=job,
            prompt=claimed.prompt,
            first_step=claimed.first_step,
            type=type_,
            repository=repository,
            executor=executor,
            checkouts=self._checkouts,
            recorder=StepRecorder(
                self._store, writes, claimed.fence, self._outputs, daemon.log_max, self._redaction(type_)
            ),
            environ=os.environ,
            budget=rails.limits.per_job,
            daily_budget=lambda: self._current_limits().daily_budget,
            resumable=resumable,
            rails_in_force=lambda: self._current_limits().rails_digest,
            find_head=self._find_head,
            approved=approved,
            gates_again=await self._gates_again(job, type_, approved) if approved and changed else (),
        )

    async def _find_granted(self, claimed: Claimed) -> tuple[ApprovalRequest | None, bool]:
        async with self._store.reading() as db:
            granted = await approvals.find_granted(db, claimed.fence.key, claimed.job.attempt)
        return granted or (None, False)

    async def _gates_again(self, job: RunnerJob, type_: JobType, kept: ApprovalRequest) -> tuple[GateRule, ...]:
        """Return the gates that a commit has to pass again because the rails have changed since it passed its gates.

        Those are the built-in ones, and each program that is not run as it was.
        """
        try:
            passed = (await self._find_rails(kept.judged_by or "")).jobs[job.type].gates
        except LookupError:
            passed = ()
        same = [structs.replace(gate, line=0) for gate in passed]
        return tuple(gate for gate in type_.gates if gate.run is None or structs.replace(gate, line=0) not in same)

    def _redaction(self, type_: JobType) -> Redaction:
        """Return what masks the secrets of stitcherd.toml, minted ones, and those that a job passes to its programs."""
        names = chain(type_.profile.env, *(gate.env for gate in type_.gates))
        secrets = {*self._settings.secret_values, *passed_secrets(os.environ, names)}
        return Redaction(secrets, self._minted_secrets)
