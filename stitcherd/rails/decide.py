"""What the rails say of a delivery or a manual dispatch: pure, and quick enough to be asked before answering.

The stages are trigger, who, guards, capability and limits; after one that says no, the others are unreached.
"""

from time import perf_counter_ns

from msgspec import Struct

from shared.models import Check, Decision, Outcome, Remedy, Verdict
from stitcherd.rails.feasible import Facts, feasible
from stitcherd.rails.guarding import Waits, guarded, untouched
from stitcherd.rails.loops import LOOP, LOOP_UNREACHED, is_bot
from stitcherd.rails.matching import Missed, match
from stitcherd.rails.people import WHO_UNREACHED, who
from stitcherd.rails.refused import Refused
from stitcherd.rails.rulebook import JobType, LimitRules, Rulebook
from stitcherd.rails.wording import unknown
from stitcherd.trigger import Trigger

NO_RAILS = "no rails are in force, so nothing runs: `stitcher rails show` says why"


class Request(Struct, frozen=True):
    """A manual dispatch: the job type that is asked for, and by whom (`uid:1000`, `token:ci`)."""

    type: str
    actor: str


class Ruling(Struct, frozen=True):
    """A decision, and where it allows one the job to make of it; `task` is the free text of its command.

    `limits` are for whoever stores the job: only there is it known how much of them is used up. With `waits` the job
    is not to run before a person has approved it.
    """

    decision: Decision
    job: JobType | None = None
    task: str = ""
    limits: LimitRules = LimitRules()
    waits: Waits | None = None


class UnknownJobType(Exception):
    """A manual dispatch of a type that is not in the rails."""


def decide(trigger: Trigger, rulebook: Rulebook | None, facts: Facts) -> Ruling:
    """Return the ruling on a delivery; ignored unless a trigger wants it, denied unless all else holds.

    What only guards that ask for an approval speak against is waiting.
    """
    begun = perf_counter_ns()
    if trigger.refused is not None:
        return _ruling(begun, rulebook, Verdict.IGNORED, trigger.refused)
    if rulebook is None:
        return _ruling(begun, None, Verdict.IGNORED, NO_RAILS)
    rules = rulebook.triggers.get(trigger.name or "")
    if rules is None:
        event = f"{trigger.event}/{trigger.action}" if trigger.action else trigger.event
        return _ruling(begun, rulebook, Verdict.IGNORED, f"no trigger wants {event}")
    found = match(rules, trigger, facts.bot)
    if isinstance(found, Missed):
        checks = [*found.checks, WHO_UNREACHED, *_unreached(rulebook), *rulebook.limits.unreached]
        return _ruling(begun, rulebook, Verdict.IGNORED, found.refused.reason, checks, found.refused.remedy)
    rule = found.rule
    check, refused = who(rule, trigger)
    waits = None
    if refused is None:
        guards, against = guarded(rulebook, trigger)
        if isinstance(against, Waits):
            waits = against
        else:
            refused = against
    else:
        guards = _unreached(rulebook)
    last, refused = _last_stages(rulebook, rule.job, facts, refused)
    checks = [*found.checks, check, *guards, *last]
    if is_bot(trigger.sender):
        checks.append(LOOP if refused is None else LOOP_UNREACHED)
    said = refused or waits
    return _verdict(begun, rulebook, checks, said, rule.job, f"trigger {rule.id}", rule.id, found.text)


def decide_dispatch(request: Request, rulebook: Rulebook | None, facts: Facts) -> Ruling:
    """Return the ruling on a manual dispatch: no trigger and no guard is asked, the permission is the *who*.

    Raises UnknownJobType where the rails have no such type.
    """
    begun = perf_counter_ns()
    if rulebook is None:
        return _ruling(begun, None, Verdict.DENIED, NO_RAILS)
    job = rulebook.jobs.get(request.type)
    if job is None:
        raise UnknownJobType(unknown("job type", request.type, rulebook.jobs))
    last, refused = _last_stages(rulebook, job, facts, None)
    checks = [
        Check("trigger", "trigger", Outcome.SKIP, because="a manual dispatch asks no trigger"),
        Check("who", "who", Outcome.PASS, None, request.actor, "jobs:dispatch", "permission"),
        *untouched(rulebook.guards),
        *last,
    ]
    return _verdict(begun, rulebook, checks, refused, job, f"dispatch {job.name}")


def _unreached(rulebook: Rulebook) -> list[Check]:
    return [guard.unreached for guard in rulebook.guards]


def _last_stages(
    rulebook: Rulebook, job: JobType, facts: Facts, refused: Refused | None
) -> tuple[list[Check], Refused | None]:
    """Return the checks of capability and limits, and the first refusal of all stages."""
    checks = [job.unreached]
    if refused is None:
        checks, refused = feasible(job, facts)
    limits = rulebook.limits
    if refused is not None:
        return [*checks, *limits.unreached], refused
    return [*checks, *(limits.unmetered if job.profile.executor in facts.unmetered else limits.checks)], None


def _verdict(
    begun: int,
    rulebook: Rulebook,
    checks: list[Check],
    against: Refused | Waits | None,
    job: JobType,
    allowing: str,
    trigger: str | None = None,
    task: str = "",
) -> Ruling:
    """Return the ruling of all stages: allowed for the reason `allowing` unless something speaks against it."""
    verdict, reason, remedy = Verdict.ALLOWED, allowing, None
    waits = against if isinstance(against, Waits) else None
    if against is not None:
        verdict, reason, remedy = Verdict.WAITING if waits else Verdict.DENIED, against.reason, against.remedy
    if rulebook.mode == "observe":
        verdict, reason = Verdict.IGNORED, f"observe: would have been {verdict}: {reason}"
    ruling = _ruling(begun, rulebook, verdict, reason, checks, remedy, trigger, job.profile.sandbox)
    runs = verdict in {Verdict.ALLOWED, Verdict.WAITING}
    return Ruling(ruling.decision, job, task, rulebook.limits, waits) if runs else ruling


def _ruling(
    begun: int,
    rulebook: Rulebook | None,
    verdict: Verdict,
    reason: str,
    checks: list[Check] | None = None,
    remedy: Remedy | None = None,
    trigger: str | None = None,
    sandbox: str | None = None,
) -> Ruling:
    """Return a ruling that runs nothing, with the time it took since `begun` (nanoseconds)."""
    return Ruling(
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
