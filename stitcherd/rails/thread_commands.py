"""Decides on commands about the jobs of a thread: cancel and retry, and the questions help, status and why; pure."""

from collections.abc import Iterable, Sequence

from shared.ids import short_id
from shared.models import OPEN_STATUSES, Status, Verdict
from stitcherd.policy import CommandResult, ThreadJob
from stitcherd.rails.commands import (
    ANSWERED,
    CANCEL,
    RETRY,
    command_decision,
    named_ids,
    unfit_sender,
    written_ending,
)
from stitcherd.rails.compiled import CompiledRails, Group
from stitcherd.rails.decide import people_of
from stitcherd.rails.groups import membership_of_any, needed_permissions, why_not_asked
from stitcherd.rails.report import report_without_job
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Trigger

JOBS_KEEP_CHANGING = "the jobs of this thread keep changing; comment again"
_ABOUT_JOBS = "a command of every thread"
_NAME_ONE = "name one by the end of its id"
_MAY_CHANGE = {CANCEL: frozenset(OPEN_STATUSES), RETRY: frozenset({Status.FAILED, Status.CANCELLED})}
_WHICH = {CANCEL: "is open on this thread", RETRY: "failed or was cancelled on this thread"}


def decide_question(command: Command, trigger: Trigger, rails: CompiledRails, facts: RuntimeFacts) -> CommandResult:
    """Decide whether a question is answered: those of whom a trigger takes commands get an answer on the thread.

    So do those to whom denials are explained. Nothing runs, so that it is ignored, or deciding where a permission must
    be asked first.
    """
    if not report_without_job(rails, None).comment:
        reason = f"command {command.verb}: nothing is answered on threads: see report.thread of the rails"
        return CommandResult(command_decision(command, rails, Verdict.IGNORED, reason, _ABOUT_JOBS))
    return _decide_answer(command, trigger, rails, facts, f"command {command.verb}: {ANSWERED}")


def decide_transition(
    command: Command, trigger: Trigger, rails: CompiledRails, jobs: Sequence[ThreadJob], facts: RuntimeFacts
) -> CommandResult:
    """Decide what a comment that cancels or retries does to the `jobs` on its thread, the newest first.

    Without an id it means the only open job, or the newest that can be retried. Those may do it whom the trigger that
    the job came from admits. Where it depends on a permission that must be asked, it is deciding. Where no job is
    meant, it is answered like the question `status`.
    """
    possible = {each.job.id: each for each in jobs if each.job.status in _MAY_CHANGE[command.verb]}
    ids, reason = named_ids(command, list(possible), _WHICH[command.verb])
    if not ids:
        why = reason or f"no job {_WHICH[command.verb]}"
        if not report_without_job(rails, None).comment:
            return CommandResult(command_decision(command, rails, Verdict.IGNORED, why, _ABOUT_JOBS))
        return _decide_answer(command, trigger, rails, facts, f"command {command.verb}: {why}: {ANSWERED}")
    found = possible[ids[0]]
    job, groups = found.job, _admitted(found, rails)
    unclear = _why_unclear(command, ids, found, jobs)
    if unclear is not None:
        return refused(command, rails, unclear)
    if groups is None:
        gone = f"the rails no longer have the trigger that job {short_id(job.id)} came from: ask the operator"
        return refused(command, rails, gone)
    may = f"{trigger.sender} may {command.verb} job {short_id(job.id)}"
    result = _decide(command, trigger, rails, groups, facts, Verdict.ALLOWED, may)
    if result.decision.verdict is not Verdict.ALLOWED:
        return result
    return CommandResult(
        result.decision, job.id, "cancel" if command.verb == CANCEL else "retry", reason, result.account_id
    )


def refused(command: Command, rails: CompiledRails, reason: str) -> CommandResult:
    """Return the result for a command that the state of its job does not allow."""
    return CommandResult(command_decision(command, rails, Verdict.DENIED, reason, _ABOUT_JOBS))


def _decide_answer(
    command: Command, trigger: Trigger, rails: CompiledRails, facts: RuntimeFacts, reason: str
) -> CommandResult:
    """Decide whether a comment that changes nothing gets an answer, for the reason."""
    found = (rule.who for rule in rails.triggers.get(trigger.name or "", ()))
    explained = report_without_job(rails, None).explain_denials_to
    groups = _distinct((*(group for who in found for group in who), *explained))
    return _decide(command, trigger, rails, groups, facts, Verdict.IGNORED, reason)


def _decide(
    command: Command,
    trigger: Trigger,
    rails: CompiledRails,
    groups: Sequence[Group],
    facts: RuntimeFacts,
    verdict: Verdict,
    reason: str,
) -> CommandResult:
    """Return the decision with a verdict and a reason where the sender is in one of the groups."""
    people = people_of(trigger, rails, facts)
    wanted = " or ".join(group.name for group in groups) or "nobody"
    objection, sender = unfit_sender(people), trigger.sender or ""
    if objection is None:
        member = membership_of_any(groups, sender, people)[0].member
        if member is None:
            needed = needed_permissions((sender,), people)
            decision = command_decision(command, rails, Verdict.DECIDING, needed.reason, _ABOUT_JOBS, people, wanted)
            return CommandResult(decision, asks=needed.asks)
        if member:
            decision = command_decision(command, rails, verdict, reason, _ABOUT_JOBS, people, wanted)
            return CommandResult(decision, account_id=people.account_id(sender))
        access = people.access_of(sender)
        why = access.failure if access and access.failure else why_not_asked(groups, sender, people)
        objection = f"{sender} is in none of {wanted}{f'; {why}' if why else ''}"
    denied = f"who: command {command.verb}: {objection}"
    return CommandResult(command_decision(command, rails, Verdict.DENIED, denied, _ABOUT_JOBS, people, wanted))


def _why_unclear(command: Command, ids: Sequence[str], found: ThreadJob, jobs: Sequence[ThreadJob]) -> str | None:
    """Return why it is not clear that a command means the job `found`, the first of `ids`; None where it is."""
    ending = written_ending(command)
    if ending is not None and found.job.id.endswith(ending):
        return f"the ids of {len(ids)} jobs end with {ending}: write more of the id" if len(ids) > 1 else None
    if command.verb == CANCEL:
        return f"{len(ids)} jobs are open on this thread: {_NAME_ONE}" if len(ids) > 1 else None
    newest = next(each for each in jobs if each.job.type == found.job.type)
    return None if newest is found else f"there is a newer job {found.job.type} on this thread: {_NAME_ONE}"


def _admitted(found: ThreadJob, rails: CompiledRails) -> Sequence[Group] | None:
    """Return the groups that the trigger of a job admits, None where the rails have it no more.

    Other triggers for such a job do not count: they may be about other repositories.
    """
    rules = (rule for rules in rails.triggers.values() for rule in rules)
    return next((rule.who for rule in rules if rule.id == found.trigger and rule.job.name == found.job.type), None)


def _distinct(groups: Iterable[Group]) -> tuple[Group, ...]:
    return tuple({group.name: group for group in groups}.values())
