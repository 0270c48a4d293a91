"""Approvals: what a job has to wait for, and the decision on a comment that approves or denies waiting jobs; pure."""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from shared.ids import short_id
from shared.models import Decision, RunnerJob, Verdict
from stitcherd.policy import ApprovalRequest, CommandResult, GrantedApproval, GuardQuestion
from stitcherd.rails.accounts import is_account
from stitcherd.rails.commands import DENY, command_decision, named_ids, unfit_sender
from stitcherd.rails.compiled import ApprovalRules, CompiledRails
from stitcherd.rails.decide import Evaluation, people_of
from stitcherd.rails.globs import fold
from stitcherd.rails.groups import People, membership_of_any, needed_permissions, why_not_asked
from stitcherd.rails.guards import approvers
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.verdicts import NeedsPermissions
from stitcherd.sources.trigger import Command, Trigger

NOTHING_WAITS = "nothing waits for an approval on this thread"
RAILS_CHANGED = "the rails have changed since it was asked for; look at what it would do under them"
KEEPS_CHANGING = "what waits on this thread keeps changing; comment again"

_TOPIC = ("title", "body")  # the texts of a thread that its later deliveries repeat


def approval_request(
    evaluation: Evaluation, trigger: Trigger, now: int, before: ApprovalRequest | None = None
) -> ApprovalRequest | None:
    """Return what a job waits for from `now` (ms) on, None where no guard requires an approval.

    An earlier request, `before`, keeps its expiry, and its head where the delivery names none.
    """
    waits = evaluation.waits
    if waits is None:
        return None
    rules = waits.rules
    read = [evaluation.task, *((quote.author, quote.kind, quote.text) for quote in trigger.quotes)]
    return ApprovalRequest(
        guards=tuple(GuardQuestion(guard.id, guard.by) for guard in waits.guards),
        source=trigger.source,
        asker=trigger.sender,
        outsiders=waits.outsiders,
        by_asker=rules.by_asker,
        pins=rules.pins,
        rails_digest=evaluation.decision.rails_digest or "",
        head_sha=trigger.head_sha or (before.head_sha if before else None),
        text_sha256=_sha256(msgspec.json.encode(read)),
        texts=_texts(trigger),
        expires=before.expires if before else rules.expires,
        expires_at=before.expires_at if before else now + rules.expires_ms,
    )


def commit_approval_request(
    job: RunnerJob, rules: ApprovalRules, guards: tuple[str, ...], commit: str, base: str | None, now: int
) -> ApprovalRequest:
    """Return what a job waits for from `now` (ms) on because of what its commit edits.

    `guards` are parts of the rails, like `paths.tests`; only the operator may approve. Without any, nobody has to.
    """
    source, _, login = job.actor.removeprefix("source:").partition("/") if ":" in job.actor else ("", "", "")
    return ApprovalRequest(
        guards=tuple(GuardQuestion(guard, ()) for guard in guards),
        source=source,
        asker=f"{source}:{login}" if login else None,
        outsiders=(),
        by_asker=rules.by_asker,
        pins=(),
        rails_digest=job.rails_digest,
        head_sha=None,
        text_sha256="",
        texts={},
        expires=rules.expires,
        expires_at=now + rules.expires_ms,
        attempt=job.attempt,
        commit=commit,
        base=base,
        judged_by=job.rails_digest,
    )


def decide_approval(
    command: Command,
    trigger: Trigger,
    rails: CompiledRails,
    waiting: list[tuple[RunnerJob, ApprovalRequest]],
    *,
    now: int,
    reevaluated: frozenset[str],
    facts: RuntimeFacts,
) -> CommandResult:
    """Decide what a comment that approves or denies does to the jobs `waiting` on its thread.

    It does not approve the jobs that were re-evaluated because of it: nobody has seen yet what they would do. Where it
    depends on a permission that must be asked, it is deciding.
    """
    ids, reason = named_ids(command, [job.id for job, _ in waiting], "waits on this thread")
    if not ids:
        return CommandResult(_decision(command, rails, Verdict.IGNORED, reason or NOTHING_WAITS))
    if len(ids) > 1:
        several = f"{len(ids)} jobs wait on this thread: name one by the end of its id"
        return CommandResult(_decision(command, rails, Verdict.DENIED, several))
    job, request = next(each for each in waiting if each[0].id == ids[0])
    approves = command.verb != DENY
    doing = f"{'approve' if approves else 'deny'} job {short_id(job.id)}"
    people = people_of(trigger, rails, facts)
    objection = _sender_objection(request, people, rails)
    if not isinstance(objection, str) and approves:
        changed = RAILS_CHANGED if job.id in reevaluated else _request_objection(request, trigger, rails, now)
        objection = changed or objection
    if isinstance(objection, NeedsPermissions):
        decision = _decision(command, rails, Verdict.DECIDING, objection.reason, people, request)
        return CommandResult(decision, asks=objection.asks)
    if objection is None:
        decision = _decision(command, rails, Verdict.ALLOWED, f"{trigger.sender} may {doing}", people, request)
        numbers = trigger.account_ids.get(fold(trigger.sender or ""), ())
        return CommandResult(decision, job.id, "approve" if approves else "deny", reason, next(iter(numbers), None))
    denied = f"who: {trigger.sender or 'a deleted account'} may not {doing}: {objection}"
    return CommandResult(_decision(command, rails, Verdict.DENIED, denied, people, request))


def asking(command: Command, rails: CompiledRails, asks: Mapping[str, str], reason: str) -> CommandResult:
    """Return the result for a comment that cannot be decided before accounts, by id, were asked for."""
    return CommandResult(_decision(command, rails, Verdict.DECIDING, reason), asks=asks)


def keeps_changing(command: Command, rails: CompiledRails) -> Decision:
    """Return the decision on a comment for which what waits could not be read unchanged."""
    return _decision(command, rails, Verdict.DENIED, KEEPS_CHANGING)


def _sender_objection(request: ApprovalRequest, people: People, rails: CompiledRails) -> str | NeedsPermissions | None:
    """Return why the sender of a comment may not approve or deny, None where they may, or what must be asked first."""
    return unfit_sender(people) or _approver_objection(request, people.trigger.sender or "", people, rails)


def _approver_objection(
    request: ApprovalRequest, sender: str, people: People, rails: CompiledRails
) -> str | NeedsPermissions | None:
    """Return why an account may not approve or deny what is requested, None where it may, or what must be asked first.

    Its id is as expected.
    """
    unknown = False
    for guard in request.guards:
        groups = [rails.groups[name] for name in guard.by if name in rails.groups]
        member = membership_of_any(groups, sender, people)[0].member
        unknown = unknown or member is None
        if member is False:
            access = people.access_of(sender)
            why = access.failure if access and access.failure else why_not_asked(groups, sender, people)
            return f"{approvers(guard.by)} answers for guard {guard.guard}{f'; {why}' if why else ''}"
    if fold(sender) in {fold(outsider) for outsider in request.outsiders}:
        return "the text that it is about is their own"
    if not request.by_asker and request.asker is not None and fold(sender) == fold(request.asker):
        return "they asked for it themselves"
    return needed_permissions((sender,), people) if unknown else None


def still_holds(
    granted: GrantedApproval,
    wanted: ApprovalRequest,
    trigger: Trigger,
    rails: CompiledRails,
    facts: RuntimeFacts,
) -> bool | NeedsPermissions:
    """Say whether an approval is still one of what other rails want an approval of, or what must be asked first."""
    if not granted.request.holds_under(rails.digest) or not set(wanted.guards) <= set(granted.request.guards):
        return False
    source, _, login = granted.actor.removeprefix("source:").partition("/")
    account = f"{source}:{login}"
    if not granted.actor.startswith("source:"):
        return granted.actor.startswith(("uid:", "token:"))
    named = fold(account) in rails.accounts
    if named and not is_account(account, granted.account_id, rails.accounts, facts.account_ids):
        return False
    ids = {} if granted.account_id is None else {fold(account): (granted.account_id,)}
    approver = People(replace(trigger, account_ids=ids), {}, facts.access, facts.cannot_ask)
    objection = _approver_objection(wanted, account, approver, rails)
    return objection if isinstance(objection, NeedsPermissions) else objection is None


def with_commit(wanted: ApprovalRequest, before: ApprovalRequest) -> ApprovalRequest:
    """Return a request that is of the commit of an earlier one, and asks what that one asked too."""
    guards = tuple(dict.fromkeys((*wanted.guards, *before.guards))) if before.commit else wanted.guards
    kept = ("attempt", "commit", "base", "judged_by", "judged_under")
    return replace(wanted, guards=guards, **{name: getattr(before, name) for name in kept})


def _request_objection(request: ApprovalRequest, trigger: Trigger, rails: CompiledRails, now: int) -> str | None:
    """Return why an approval would not be of what was requested, None where it is; the unknown counts as unchanged."""
    if request.expires_at <= now:
        return f"the {request.expires} in which it could be approved are over"
    if not request.holds_under(rails.digest):
        return RAILS_CHANGED
    if "head_sha" in request.pins and request.head_sha and trigger.head_sha and request.head_sha != trigger.head_sha:
        return "the change has other commits by now; ask for it again"
    if "text_hash" in request.pins and not _is_same_topic(request, trigger):
        return "the text of the thread has changed since it was asked for; ask for it again"
    return None


def _is_same_topic(request: ApprovalRequest, trigger: Trigger) -> bool:
    now = _texts(trigger)
    known = "title" in now and "title" in request.texts
    return not known or all(now.get(kind) == request.texts.get(kind) for kind in _TOPIC)


def _texts(trigger: Trigger) -> dict[str, str]:
    texts: dict[str, str] = {}
    for quote in trigger.quotes:
        if quote.text:
            texts[quote.kind] = texts.get(quote.kind, "") + quote.text
    return {kind: _sha256(text.encode("utf-8", "surrogatepass")) for kind, text in texts.items()}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _decision(
    command: Command,
    rails: CompiledRails,
    verdict: Verdict,
    reason: str,
    people: People | None = None,
    request: ApprovalRequest | None = None,
) -> Decision:
    wanted = approvers(request.by) if request is not None else None
    return command_decision(command, rails, verdict, reason, "an approval", people, wanted)
