"""Approvals: what a job has to wait for, and the decision on a comment that approves or denies waiting jobs; pure."""

import hashlib
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from shared.ids import short_id
from shared.models import Check, CheckOutcome, Decision, RunnerJob, Verdict
from shared.protocol import ID_SUFFIX_MIN
from stitcherd.policy import ApprovalRequest, ApprovalResult, GrantedApproval, GuardQuestion
from stitcherd.rails.accounts import changed_accounts, is_account
from stitcherd.rails.compiled import ApprovalRules, CompiledRails
from stitcherd.rails.decide import Evaluation
from stitcherd.rails.globs import fold
from stitcherd.rails.groups import membership, sent_by_author
from stitcherd.rails.guards import approvers
from stitcherd.sources.trigger import Command, Trigger

DENY = "deny"
NOTHING_WAITS = "nothing waits for an approval on this thread"
RAILS_CHANGED = "the rails have changed since it was asked for; look at what it would do under them"
KEEPS_CHANGING = "what waits on this thread keeps changing; comment again"

_TOPIC = ("title", "body")  # the texts of a thread that its later deliveries repeat


def approval_request(
    evaluation: Evaluation, trigger: Trigger, now: int, before: ApprovalRequest | None = None
) -> ApprovalRequest | None:
    """Return what a job waits for from `now` (ms) on, None where no guard requires an approval.

    An earlier request, `before`, keeps its expiry.
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
        head_sha=trigger.head_sha,
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


def approval_command(trigger: Trigger, rails: CompiledRails | None) -> Command | None:
    """Return the command of a comment that begins with an approval or a denial, None for any other.

    A trigger of the rails with the same command takes precedence, and rails that run nothing approve nothing.
    """
    if rails is None or rails.mode == "observe" or trigger.unusable is not None:
        return None
    command = next(iter(trigger.commands), None)
    if command is None or not sent_by_author(trigger):
        return None
    if command.verb not in {rails.approvals.command, DENY}:
        return None
    rules = rails.triggers.get(trigger.name or "", ())
    return None if any(rule.command == command.verb for rule in rules) else command


def decide_approval(
    command: Command,
    trigger: Trigger,
    rails: CompiledRails,
    waiting: list[tuple[RunnerJob, ApprovalRequest]],
    *,
    now: int,
    reevaluated: frozenset[str],
    account_ids: Mapping[str, str],
) -> ApprovalResult:
    """Decide what a comment that approves or denies does to the jobs `waiting` on its thread.

    It does not approve the jobs that were re-evaluated because of it: nobody has seen yet what they would do.
    `account_ids` are the ids that are kept for accounts.
    """
    found, reason = _named_jobs(command, waiting)
    if not found:
        return ApprovalResult(_decision(command, rails, Verdict.IGNORED, reason or NOTHING_WAITS))
    if len(found) > 1:
        several = f"{len(found)} jobs wait on this thread: name one by the end of its id"
        return ApprovalResult(_decision(command, rails, Verdict.DENIED, several))
    job, request = found[0]
    approves = command.verb != DENY
    doing = f"{'approve' if approves else 'deny'} job {short_id(job.id)}"
    objection = _sender_objection(request, trigger, rails, account_ids)
    if objection is None and approves:
        objection = RAILS_CHANGED if job.id in reevaluated else _request_objection(request, trigger, rails, now)
    if objection is None:
        decision = _decision(command, rails, Verdict.ALLOWED, f"{trigger.sender} may {doing}", trigger, request)
        ids = trigger.account_ids.get(fold(trigger.sender or ""), ())
        return ApprovalResult(decision, job.id, approves, reason, next(iter(ids), None))
    denied = f"who: {trigger.sender or 'a deleted account'} may not {doing}: {objection}"
    return ApprovalResult(_decision(command, rails, Verdict.DENIED, denied, trigger, request))


def keeps_changing(command: Command, rails: CompiledRails) -> Decision:
    """Return the decision on a comment for which what waits could not be read unchanged."""
    return _decision(command, rails, Verdict.DENIED, KEEPS_CHANGING)


def _named_jobs(
    command: Command, waiting: list[tuple[RunnerJob, ApprovalRequest]]
) -> tuple[list[tuple[RunnerJob, ApprovalRequest]], str | None]:
    """Return the jobs that a command names, and the reason that it gives or why it names none."""
    first, _, rest = command.text.partition(" ")
    ending = first.lower()
    if len(ending) >= ID_SUFFIX_MIN:
        named = [(job, request) for job, request in waiting if job.id.endswith(ending)]
        if named:
            return named, rest.strip() or None
        if not set(ending) - set("0123456789abcdef-") and set(ending) & set("0123456789"):
            return [], f"no job whose id ends with {ending} waits on this thread"
    return (waiting, command.text or None) if waiting else ([], NOTHING_WAITS)


def _sender_objection(
    request: ApprovalRequest, trigger: Trigger, rails: CompiledRails, account_ids: Mapping[str, str]
) -> str | None:
    """Return why the sender of a comment may not approve or deny, None where they may."""
    sender = trigger.sender
    if sender is None or trigger.author is None or fold(trigger.author) != fold(sender):
        return "it is not known who wrote it"
    changed = changed_accounts(trigger, rails.accounts, account_ids)
    change = changed.get(fold(sender))
    if change is not None:
        return f"{change.reason}; {change.remedy.text}" if change.remedy else change.reason
    return _approver_objection(request, sender, trigger, rails)


def _approver_objection(request: ApprovalRequest, sender: str, trigger: Trigger, rails: CompiledRails) -> str | None:
    """Return why an account may not approve or deny what is requested, None where it may; its id is as expected."""
    for guard in request.guards:
        groups = [rails.groups[name] for name in guard.by if name in rails.groups]
        if not any(membership(group, sender, trigger, {}) for group in groups):
            return f"{approvers(guard.by)} answers for guard {guard.guard}"
    if fold(sender) in {fold(outsider) for outsider in request.outsiders}:
        return "the text that it is about is their own"
    if not request.by_asker and request.asker is not None and fold(sender) == fold(request.asker):
        return "they asked for it themselves"
    return None


def still_holds(
    granted: GrantedApproval,
    wanted: ApprovalRequest,
    trigger: Trigger,
    rails: CompiledRails,
    account_ids: Mapping[str, str],
) -> bool:
    """Say whether an approval is still one of what other rails want an approval of.

    `account_ids` are the ids that are kept for accounts now.
    """
    if not granted.request.holds_under(rails.digest) or not set(wanted.guards) <= set(granted.request.guards):
        return False
    source, _, login = granted.actor.removeprefix("source:").partition("/")
    account = f"{source}:{login}"
    if not granted.actor.startswith("source:"):
        return granted.actor.startswith(("uid:", "token:"))
    if not is_account(account, granted.account_id, rails.accounts, account_ids):
        return False
    return _approver_objection(wanted, account, trigger, rails) is None


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
    trigger: Trigger | None = None,
    request: ApprovalRequest | None = None,
) -> Decision:
    checks = [
        Check("trigger", "trigger", CheckOutcome.PASS, None, command.verb, f"command {command.verb}", "an approval")
    ]
    if trigger is not None and request is not None:
        outcome = CheckOutcome.PASS if verdict is Verdict.ALLOWED else CheckOutcome.FAIL
        checks.append(Check("who", "who", outcome, None, trigger.sender, approvers(request.by)))
    return Decision(
        verdict=verdict,
        reason=reason,
        rails_revision=rails.revision,
        rails_digest=rails.digest,
        checks=tuple(checks),
    )
