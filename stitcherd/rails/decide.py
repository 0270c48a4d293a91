"""Decides what the rails allow for a delivery or a manual dispatch: without I/O, and before the request is answered.

The stages are trigger, who, guards, capability and limits; after one that objects, the others are unreached. Where a
job on a change starts, and what was hidden in the text, is shown with the guards.
"""

from collections.abc import Mapping
from time import perf_counter_ns

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Check, CheckOutcome, Decision, Remedy, Verdict
from stitcherd.config.errors import unknown_name
from stitcherd.rails.accounts import changed_accounts
from stitcherd.rails.compiled import CompiledRails, JobType, LimitRules
from stitcherd.rails.groups import People, needed_permissions
from stitcherd.rails.guards import GuardsResult, check_guards, check_hidden, check_start, skipped_guards
from stitcherd.rails.limits import COOLDOWN_CHECK, COOLDOWN_UNREACHED, is_bot
from stitcherd.rails.requirements import RuntimeFacts, check_requirements
from stitcherd.rails.senders import WHO_UNREACHED, check_sender
from stitcherd.rails.triggers import NearMiss, match_triggers
from stitcherd.rails.verdicts import NeedsApproval, NeedsPermissions, Objection
from stitcherd.sources.trigger import Trigger

NO_RAILS = "no rails are in force, so nothing runs: `stitcher rails show` says why"


class DispatchRequest(Struct, frozen=True):
    """A manual dispatch: the requested job type, and who requests it (`uid:1000`, `token:ci`)."""

    type: str
    actor: str


class Evaluation(Struct, frozen=True):
    """A decision, and if it allows one, the type of job to create; `task` is the free text of its command.

    `limits` are checked by whoever stores the job, where usage is known. With `waits`, a person must approve the job
    before it runs. `asks` are the accounts, by id, whose permissions must be asked before it can be decided.
    """

    decision: Decision
    job: JobType | None = None
    task: str = ""
    limits: LimitRules = LimitRules()
    waits: NeedsApproval | None = None
    asks: Mapping[str, str] = {}


class UnknownJobType(Exception):
    """A manual dispatch of a job type that the rails do not define."""


def decide(trigger: Trigger, rails: CompiledRails | None, facts: RuntimeFacts) -> Evaluation:
    """Return the evaluation of a delivery: ignored unless a trigger matches, denied if a later stage objects.

    It is waiting if only guards that require an approval apply, and deciding if that, or whether it is allowed, depends
    on permissions that must be asked.
    """
    started = perf_counter_ns()
    if trigger.unusable is not None:
        return _evaluation(started, rails, Verdict.IGNORED, trigger.unusable)
    if rails is None:
        return _evaluation(started, None, Verdict.IGNORED, NO_RAILS)
    rules = rails.triggers.get(trigger.name or "")
    if rules is None:
        event = f"{trigger.event}/{trigger.action}" if trigger.action else trigger.event
        return _evaluation(started, rails, Verdict.IGNORED, f"no trigger wants {event}")
    found = match_triggers(rules, trigger, facts.bot)
    if isinstance(found, NearMiss):
        shown = _shown(trigger, facts, reached=False)
        checks = [*found.checks, WHO_UNREACHED, *shown, *_unreached(rails), *rails.limits.unreached]
        return _evaluation(started, rails, Verdict.IGNORED, found.objection.reason, checks, found.objection.remedy)
    rule = found.rule
    people = people_of(trigger, rails, facts)
    sender = check_sender(rule, people)
    objection = sender.objection
    shown = _shown(trigger, facts, reached=objection is None)
    guards = check_guards(rails, people) if objection is None else GuardsResult(_unreached(rails))
    waits = guards.against if isinstance(guards.against, NeedsApproval) else None
    if isinstance(guards.against, Objection):
        objection = guards.against
    last, objection = _last_stages(rails, rule.job, facts, objection)
    who = sender.check
    if sender.unknown and objection is not None:
        who = replace(who, outcome=CheckOutcome.SKIP, because="its permission is not asked: it is denied anyway")
    checks = [*found.checks, who, *shown, *guards.checks, *last]
    if is_bot(trigger.sender):
        checks.append(COOLDOWN_CHECK if objection is None else COOLDOWN_UNREACHED)
    against: Objection | NeedsApproval | NeedsPermissions | None = objection or waits
    if objection is None and (sender.unknown or guards.unknown):
        against = needed_permissions(
            dict.fromkeys((*((trigger.sender,) if sender.unknown else ()), *guards.unknown)), people
        )
    return _verdict(started, rails, checks, against, rule.job, f"trigger {rule.id}", rule.id, found.text)


def people_of(trigger: Trigger, rails: CompiledRails, facts: RuntimeFacts) -> People:
    """Return what is known of the accounts of a delivery."""
    changed = changed_accounts(trigger, rails.accounts, facts.account_ids)
    return People(trigger, changed, facts.access, facts.cannot_ask)


def decide_dispatch(request: DispatchRequest, rails: CompiledRails | None, facts: RuntimeFacts) -> Evaluation:
    """Return the evaluation of a manual dispatch: triggers and guards are skipped, and the permission is the *who*.

    Raises UnknownJobType if the rails define no such type.
    """
    started = perf_counter_ns()
    if rails is None:
        return _evaluation(started, None, Verdict.DENIED, NO_RAILS)
    job = rails.jobs.get(request.type)
    if job is None:
        raise UnknownJobType(unknown_name("job type", request.type, rails.jobs))
    last, objection = _last_stages(rails, job, facts, None)
    checks = [
        Check("trigger", "trigger", CheckOutcome.SKIP, because="a manual dispatch needs no trigger"),
        Check("who", "who", CheckOutcome.PASS, None, request.actor, "jobs:dispatch", "permission"),
        *skipped_guards(rails.guards),
        *last,
    ]
    return _verdict(started, rails, checks, objection, job, f"dispatch {job.name}")


def _shown(trigger: Trigger, facts: RuntimeFacts, *, reached: bool) -> list[Check]:
    """Return the checks that object to nothing: where the job starts, and what was hidden in the text."""
    return [*check_start(trigger, facts.head_ref, reached=reached), *check_hidden(trigger, reached=reached)]


def _unreached(rails: CompiledRails) -> list[Check]:
    return [guard.unreached for guard in rails.guards]


def _last_stages(
    rails: CompiledRails, job: JobType, facts: RuntimeFacts, objection: Objection | None
) -> tuple[list[Check], Objection | None]:
    """Return the checks of capability and limits, and the first objection of all stages."""
    checks = [job.unreached]
    if objection is None:
        checks, objection = check_requirements(job, facts)
    limits = rails.limits
    if objection is not None:
        return [*checks, *limits.unreached], objection
    return [*checks, *(limits.checks if facts.executors[job.profile.executor].metered else limits.unmetered)], None


def _verdict(
    started: int,
    rails: CompiledRails,
    checks: list[Check],
    against: Objection | NeedsApproval | NeedsPermissions | None,
    job: JobType,
    allowing: str,
    trigger: str | None = None,
    task: str = "",
) -> Evaluation:
    """Return the evaluation of all stages: allowed for the reason `allowing` unless there is an objection."""
    verdict, reason, remedy = Verdict.ALLOWED, allowing, None
    waits = against if isinstance(against, NeedsApproval) else None
    asks = against.asks if isinstance(against, NeedsPermissions) else {}
    if against is not None:
        verdict = Verdict.WAITING if waits else Verdict.DECIDING if asks else Verdict.DENIED
        reason, remedy = against.reason, against.remedy
    if rails.mode == "observe":
        verdict, reason = Verdict.IGNORED, f"observe: would have been {verdict}: {reason}"
    evaluation = _evaluation(started, rails, verdict, reason, checks, remedy, trigger, job.profile.sandbox)
    if verdict is Verdict.DECIDING:
        return Evaluation(evaluation.decision, asks=asks)
    runs = verdict in {Verdict.ALLOWED, Verdict.WAITING}
    return Evaluation(evaluation.decision, job, task, rails.limits, waits) if runs else evaluation


def _evaluation(
    started: int,
    rails: CompiledRails | None,
    verdict: Verdict,
    reason: str,
    checks: list[Check] | None = None,
    remedy: Remedy | None = None,
    trigger: str | None = None,
    sandbox: str | None = None,
) -> Evaluation:
    """Return an evaluation that creates no job, with the time it took since `started` (ns)."""
    return Evaluation(
        Decision(
            verdict=verdict,
            reason=reason,
            rails_revision=rails.revision if rails else None,
            rails_digest=rails.digest if rails else None,
            trigger=trigger,
            sandbox=sandbox,
            micros=(perf_counter_ns() - started) // 1000,
            remedy=remedy,
            checks=tuple(checks or ()),
        )
    )
