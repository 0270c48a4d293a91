"""What the rails say of a delivery or a manual dispatch: pure, and quick enough to be asked before answering.

The stages are trigger, who, guards, capability and limits; after one that says no, the others are unreached.
"""

from time import perf_counter_ns

from msgspec import Struct

from shared.models import Check, CheckOutcome, Decision, Remedy, Verdict
from stitcherd.config.errors import unknown_name
from stitcherd.rails.compiled import CompiledRails, JobType, LimitRules
from stitcherd.rails.groups import WHO_UNREACHED, check_sender
from stitcherd.rails.guards import check_guards, skipped_guards
from stitcherd.rails.limits import COOLDOWN_CHECK, COOLDOWN_UNREACHED, is_bot
from stitcherd.rails.requirements import RuntimeFacts, check_requirements
from stitcherd.rails.triggers import NearMiss, match_triggers
from stitcherd.rails.verdicts import NeedsApproval, Objection
from stitcherd.sources.trigger import Trigger

NO_RAILS = "no rails are in force, so nothing runs: `stitcher rails show` says why"


class DispatchRequest(Struct, frozen=True):
    """A manual dispatch: the job type that is asked for, and by whom (`uid:1000`, `token:ci`)."""

    type: str
    actor: str


class Evaluation(Struct, frozen=True):
    """A decision, and where it allows one the job to make of it; `task` is the free text of its command.

    `limits` are for whoever stores the job: only there is it known how much of them is used up. With `waits` the job
    is not to run before a person has approved it.
    """

    decision: Decision
    job: JobType | None = None
    task: str = ""
    limits: LimitRules = LimitRules()
    waits: NeedsApproval | None = None


class UnknownJobType(Exception):
    """A manual dispatch of a type that is not in the rails."""


def decide(trigger: Trigger, rulebook: CompiledRails | None, facts: RuntimeFacts) -> Evaluation:
    """Return the ruling on a delivery; ignored unless a trigger wants it, denied unless all else holds.

    What only guards that ask for an approval speak against is waiting.
    """
    begun = perf_counter_ns()
    if trigger.unusable is not None:
        return _evaluation(begun, rulebook, Verdict.IGNORED, trigger.unusable)
    if rulebook is None:
        return _evaluation(begun, None, Verdict.IGNORED, NO_RAILS)
    rules = rulebook.triggers.get(trigger.name or "")
    if rules is None:
        event = f"{trigger.event}/{trigger.action}" if trigger.action else trigger.event
        return _evaluation(begun, rulebook, Verdict.IGNORED, f"no trigger wants {event}")
    found = match_triggers(rules, trigger, facts.bot)
    if isinstance(found, NearMiss):
        checks = [*found.checks, WHO_UNREACHED, *_unreached(rulebook), *rulebook.limits.unreached]
        return _evaluation(begun, rulebook, Verdict.IGNORED, found.refused.reason, checks, found.refused.remedy)
    rule = found.rule
    check, refused = check_sender(rule, trigger)
    waits = None
    if refused is None:
        guards, against = check_guards(rulebook, trigger)
        if isinstance(against, NeedsApproval):
            waits = against
        else:
            refused = against
    else:
        guards = _unreached(rulebook)
    last, refused = _last_stages(rulebook, rule.job, facts, refused)
    checks = [*found.checks, check, *guards, *last]
    if is_bot(trigger.sender):
        checks.append(COOLDOWN_CHECK if refused is None else COOLDOWN_UNREACHED)
    said = refused or waits
    return _verdict(begun, rulebook, checks, said, rule.job, f"trigger {rule.id}", rule.id, found.text)


def decide_dispatch(request: DispatchRequest, rulebook: CompiledRails | None, facts: RuntimeFacts) -> Evaluation:
    """Return the ruling on a manual dispatch: no trigger and no guard is asked, the permission is the *who*.

    Raises UnknownJobType where the rails have no such type.
    """
    begun = perf_counter_ns()
    if rulebook is None:
        return _evaluation(begun, None, Verdict.DENIED, NO_RAILS)
    job = rulebook.jobs.get(request.type)
    if job is None:
        raise UnknownJobType(unknown_name("job type", request.type, rulebook.jobs))
    last, refused = _last_stages(rulebook, job, facts, None)
    checks = [
        Check("trigger", "trigger", CheckOutcome.SKIP, because="a manual dispatch asks no trigger"),
        Check("who", "who", CheckOutcome.PASS, None, request.actor, "jobs:dispatch", "permission"),
        *skipped_guards(rulebook.guards),
        *last,
    ]
    return _verdict(begun, rulebook, checks, refused, job, f"dispatch {job.name}")


def _unreached(rulebook: CompiledRails) -> list[Check]:
    return [guard.unreached for guard in rulebook.guards]


def _last_stages(
    rulebook: CompiledRails, job: JobType, facts: RuntimeFacts, refused: Objection | None
) -> tuple[list[Check], Objection | None]:
    """Return the checks of capability and limits, and the first refusal of all stages."""
    checks = [job.unreached]
    if refused is None:
        checks, refused = check_requirements(job, facts)
    limits = rulebook.limits
    if refused is not None:
        return [*checks, *limits.unreached], refused
    return [*checks, *(limits.unmetered if job.profile.executor in facts.unmetered else limits.checks)], None


def _verdict(
    begun: int,
    rulebook: CompiledRails,
    checks: list[Check],
    against: Objection | NeedsApproval | None,
    job: JobType,
    allowing: str,
    trigger: str | None = None,
    task: str = "",
) -> Evaluation:
    """Return the ruling of all stages: allowed for the reason `allowing` unless something speaks against it."""
    verdict, reason, remedy = Verdict.ALLOWED, allowing, None
    waits = against if isinstance(against, NeedsApproval) else None
    if against is not None:
        verdict, reason, remedy = Verdict.WAITING if waits else Verdict.DENIED, against.reason, against.remedy
    if rulebook.mode == "observe":
        verdict, reason = Verdict.IGNORED, f"observe: would have been {verdict}: {reason}"
    ruling = _evaluation(begun, rulebook, verdict, reason, checks, remedy, trigger, job.profile.sandbox)
    runs = verdict in {Verdict.ALLOWED, Verdict.WAITING}
    return Evaluation(ruling.decision, job, task, rulebook.limits, waits) if runs else ruling


def _evaluation(
    begun: int,
    rulebook: CompiledRails | None,
    verdict: Verdict,
    reason: str,
    checks: list[Check] | None = None,
    remedy: Remedy | None = None,
    trigger: str | None = None,
    sandbox: str | None = None,
) -> Evaluation:
    """Return a ruling that runs nothing, with the time it took since `begun` (nanoseconds)."""
    return Evaluation(
        Decision(
            verdict=verdict,
            reason=reason,
            rails_revision=rulebook.revision if rulebook else None,
            trigger=trigger,
            sandbox=sandbox,
            micros=(perf_counter_ns() - begun) // 1000,
            remedy=remedy,
            checks=tuple(checks or ()),
        )
    )
