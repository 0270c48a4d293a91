"""Decides queued jobs again where the rails have changed since they were decided; stores nothing."""

from collections.abc import Mapping

from shared.ids import now_ms, revision_name
from shared.models import Decision, RunnerJob, Verdict
from stitcherd.errors import Refusal
from stitcherd.jobs.evaluator import Evaluator, SourceGone
from stitcherd.jobs.permissions import Permissions, PermissionsNeeded
from stitcherd.policy import AccountAccess, ApprovalRequest
from stitcherd.rails import approvals as rails_approvals
from stitcherd.rails.compiled import CompiledRails, JobType
from stitcherd.rails.decide import DispatchRequest, Evaluation, UnknownJobType
from stitcherd.rails.diff import is_same_job_type
from stitcherd.rails.live import LiveRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.verdicts import NeedsPermissions
from stitcherd.sources import NotJson, WrongShape
from stitcherd.sources.trigger import Trigger
from stitcherd.store import approvals, deliveries
from stitcherd.store.rulings import Denial, Ruling, Undecided
from stitcherd.store.store import Store


class Reevaluator:
    """Returns what the rails in force decide about a queued job."""

    def __init__(
        self, store: Store, rails: LiveRails, evaluator: Evaluator, permissions: Permissions | None = None
    ) -> None:
        self._store = store
        self._rails = rails
        self._evaluator = evaluator
        self._permissions = permissions

    async def rule(self, job: RunnerJob) -> Ruling | Undecided | None:
        """Return the ruling on a queued job, None where no rails are in force that run jobs.

        Permissions that it depends on are asked; where the forge does not answer, it is undecided.
        """
        refused: dict[str, AccountAccess] = {}
        while True:
            try:
                return await self._rule(job, refused)
            except PermissionsNeeded as needed:
                late = await self._permissions.ask_once(needed, refused) if self._permissions else str(needed)
                rails = self._rails.current
                if late is not None and rails is not None:
                    reason = f"the rails changed, and it is decided again once a permission is known: {late}"
                    return Undecided(job.version, rails.digest, reason)

    async def _rule(self, job: RunnerJob, refused: Mapping[str, AccountAccess]) -> Ruling | None:
        rails = self._rails.current
        if rails is None or rails.mode == "observe":
            return None
        changed = f"the rails changed from {revision_name(job.rails_digest)} to {rails.revision}"
        try:
            evaluation, trigger, facts = await self._evaluate(job, rails, refused)
        except (SourceGone, NotJson, WrongShape, UnknownJobType, Refusal) as error:
            reason = f"{changed}, under which it cannot be decided: {error}"
            return Ruling(job.version, Denial(Decision(Verdict.DENIED, reason, rails.revision, rails.digest), reason))
        type_ = evaluation.job
        if type_ is None or type_.name != job.type:
            return Ruling(job.version, Denial(evaluation.decision, f"{changed}: {evaluation.decision.reason}"))
        wanted = rails_approvals.approval_request(evaluation, trigger, now_ms()) if trigger else None
        if wanted is not None and trigger is not None:
            wanted = await self._unmet(job, wanted, trigger, rails, facts)
        rails_digest = job.rails_digest if await self._is_same_type(job, rails, type_) else rails.digest
        return Ruling(
            job.version,
            approvals.Reevaluation(
                profile=type_.profile.name,
                executor=type_.profile.executor,
                tries_max=type_.tries,
                on_interrupt=type_.on_interrupt,
                rails_digest=rails_digest,
                decision=evaluation.decision,
                request=wanted,
                reason=changed,
            ),
        )

    async def _evaluate(
        self, job: RunnerJob, rails: CompiledRails, refused: Mapping[str, AccountAccess]
    ) -> tuple[Evaluation, Trigger | None, RuntimeFacts]:
        """Return the evaluation of what requested a job, and where that was a delivery, its trigger and the facts.

        Raises PermissionsNeeded.
        """
        if job.delivery_id is None:
            request = DispatchRequest(job.type, job.actor)
            return (
                self._evaluator.evaluate_dispatch(request, job.repository, job.workspace_id, rails),
                None,
                RuntimeFacts(),
            )
        async with self._store.reading() as db:
            delivery = await deliveries.get_delivery(db, job.delivery_id, None)
            body = await deliveries.get_body(db, job.delivery_id, None)
        source, trigger, evaluation = self._evaluator.reevaluate(delivery, body, rails, refused)
        if evaluation.asks:
            raise PermissionsNeeded(source.name, trigger.repository or "", evaluation.asks, evaluation.decision.reason)
        return evaluation, trigger, self._evaluator.facts(source, trigger, refused)

    async def _unmet(
        self, job: RunnerJob, wanted: ApprovalRequest, trigger: Trigger, rails: CompiledRails, facts: RuntimeFacts
    ) -> ApprovalRequest | None:
        """Return what a job has to wait for, None where the approval that it has still holds.

        If it has a commit already, the new approval is of that commit. Raises PermissionsNeeded.
        """
        async with self._store.reading() as db:
            found = await approvals.find_approval(db, job.id)
        if found is None:
            return wanted
        request, granted = found
        holds = granted is not None and rails_approvals.still_holds(granted, wanted, trigger, rails, facts)
        if isinstance(holds, NeedsPermissions):
            raise PermissionsNeeded(trigger.source, trigger.repository or "", holds.asks, holds.reason)
        if holds:
            return None
        return rails_approvals.with_commit(wanted, request) if request.attempt == job.attempt else wanted

    async def _is_same_type(self, job: RunnerJob, rails: CompiledRails, type_: JobType) -> bool:
        try:
            before = await self._rails.at(job.rails_digest)
        except LookupError:
            return False
        return is_same_job_type(before.outline, rails.outline, type_.name, type_.profile.name)
