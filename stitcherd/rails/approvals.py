"""Approvals as the rails have them: what a job waits for, and what a comment that answers for it comes to; pure."""

import hashlib

import msgspec

from shared.ids import short_id
from shared.models import Check, CheckOutcome, Decision, RunnerJob, Verdict
from shared.protocol import ID_SUFFIX_MIN
from stitcherd.policy import ApprovalRequest, ApprovalResult, GuardQuestion
from stitcherd.rails.compiled import ApprovalRules, CompiledRails
from stitcherd.rails.decide import Evaluation
from stitcherd.rails.globs import fold
from stitcherd.rails.groups import membership
from stitcherd.rails.guards import approvers
from stitcherd.sources.trigger import Command, Trigger

DENY = "deny"
NOTHING_WAITS = "nothing waits for an approval on this thread"
RAILS_CHANGED = "the rails have changed since it was asked for; look at what it would do under them"

_TOPIC = ("title", "body")  # the texts of a thread that its later deliveries repeat


def approval_request(
    ruling: Evaluation, trigger: Trigger, now: int, before: ApprovalRequest | None = None
) -> ApprovalRequest | None:
    """Return what a job waits for from `now` (ms) on, or None where no guard asks.

    What it waited for `before` gives it no more time.
    """
    waits = ruling.waits
    if waits is None:
        return None
    rules = waits.rules
    read = [ruling.task, *((quote.author, quote.kind, quote.text) for quote in trigger.quotes)]
    return ApprovalRequest(
        guards=tuple(GuardQuestion(guard.id, guard.by) for guard in waits.guards),
        source=trigger.source,
        asker=trigger.sender,
        outsiders=waits.outsiders,
        by_asker=rules.by_asker,
        pins=rules.pins,
        rails=ruling.decision.rails_revision or "",
        head_sha=trigger.head_sha,
        text_sha256=_sha256(msgspec.json.encode(read)),
        texts=_texts(trigger),
        expires=before.expires if before else rules.expires,
        expires_at=before.expires_at if before else now + rules.expires_ms,
    )


def commit_approval_request(
    job: RunnerJob, rules: ApprovalRules, commit: str, base: str | None, now: int
) -> ApprovalRequest:
    """Return what a job waits for from `now` (ms) on whose commit edits tests: nobody but the operator answers."""
    source, _, login = job.actor.removeprefix("source:").partition("/") if ":" in job.actor else ("", "", "")
    return ApprovalRequest(
        guards=(GuardQuestion("paths.tests", ()),),
        source=source,
        asker=f"{source}:{login}" if login else None,
        outsiders=(),
        by_asker=rules.by_asker,
        pins=(),
        rails=job.rails_revision,
        head_sha=None,
        text_sha256="",
        texts={},
        expires=rules.expires,
        expires_at=now + rules.expires_ms,
        attempt=job.attempt,
        commit=commit,
        base=base,
    )


def approval_command(trigger: Trigger, rulebook: CompiledRails | None) -> Command | None:
    """Return the command of a comment that approves or denies, if that is what it begins with.

    A trigger of the rails with the same command has it first, and where nothing runs nothing is approved.
    """
    if rulebook is None or rulebook.mode == "observe" or trigger.unusable is not None or not trigger.commands:
        return None
    command = trigger.commands[0]
    if command.verb not in {rulebook.approvals.command, DENY}:
        return None
    rules = rulebook.triggers.get(trigger.name or "", ())
    return None if any(rule.command == command.verb for rule in rules) else command


def decide_approval(
    command: Command,
    trigger: Trigger,
    rulebook: CompiledRails,
    waiting: list[tuple[RunnerJob, ApprovalRequest]],
    *,
    now: int,
    renewed: frozenset[str],
) -> ApprovalResult:
    """Return what a comment with an approval or denial comes to, for the jobs that wait on its thread.

    Jobs that were `renewed` by this very comment are not approved by it: nobody has seen yet what they would do.
    """
    found, reason = _meant(command, waiting)
    if not found:
        return ApprovalResult(_decision(command, rulebook, Verdict.IGNORED, reason or NOTHING_WAITS))
    if len(found) > 1:
        several = f"{len(found)} jobs wait on this thread: name one by the end of its id"
        return ApprovalResult(_decision(command, rulebook, Verdict.DENIED, several))
    job, terms = found[0]
    approves = command.verb != DENY
    doing = f"{'approve' if approves else 'deny'} job {short_id(job.id)}"
    objection = _who(terms, trigger, rulebook)
    if objection is None and approves:
        objection = RAILS_CHANGED if job.id in renewed else _void(terms, trigger, rulebook, now)
    if objection is None:
        decision = _decision(command, rulebook, Verdict.ALLOWED, f"{trigger.sender} may {doing}", trigger, terms)
        return ApprovalResult(decision, job.id, approves, reason)
    said = f"who: {trigger.sender or 'an account that is gone'} may not {doing}: {objection}"
    return ApprovalResult(_decision(command, rulebook, Verdict.DENIED, said, trigger, terms))


def _meant(
    command: Command, waiting: list[tuple[RunnerJob, ApprovalRequest]]
) -> tuple[list[tuple[RunnerJob, ApprovalRequest]], str | None]:
    """Return the jobs that a command means, and the reason it gives, or that there is no such job."""
    first, _, rest = command.text.partition(" ")
    ending = first.lower()
    if len(ending) >= ID_SUFFIX_MIN:
        named = [(job, terms) for job, terms in waiting if job.id.endswith(ending)]
        if named:
            return named, rest.strip() or None
        if not set(ending) - set("0123456789abcdef-") and set(ending) & set("0123456789"):
            return [], f"no job whose id ends with {ending} waits on this thread"
    return waiting, command.text or None


def _who(terms: ApprovalRequest, trigger: Trigger, rulebook: CompiledRails) -> str | None:
    """Return why whoever wrote a comment may not answer, or None where they may."""
    sender = trigger.sender
    if sender is None or trigger.author is None or fold(trigger.author) != fold(sender):
        return "it is not known who wrote it"
    for guard in terms.guards:
        groups = [rulebook.groups[name] for name in guard.by if name in rulebook.groups]
        if not any(membership(group, sender, trigger) for group in groups):
            return f"{approvers(guard.by)} answers for guard {guard.guard}"
    if fold(sender) in {fold(outsider) for outsider in terms.outsiders}:
        return "the text that it is about is their own"
    if not terms.by_asker and terms.asker is not None and fold(sender) == fold(terms.asker):
        return "they asked for it themselves"
    return None


def _void(terms: ApprovalRequest, trigger: Trigger, rulebook: CompiledRails, now: int) -> str | None:
    """Return why an approval would be of something else than what waits; what is not known has not changed."""
    if terms.expires_at <= now:
        return f"the {terms.expires} in which it could be approved are over"
    if "rails" in terms.pins and terms.rails != rulebook.revision:
        return RAILS_CHANGED
    if "head_sha" in terms.pins and terms.head_sha and trigger.head_sha and terms.head_sha != trigger.head_sha:
        return "the change has other commits by now; ask for it again"
    if "text_hash" in terms.pins and not _same_topic(terms, trigger):
        return "the text of the thread has changed since it was asked for; ask for it again"
    return None


def _same_topic(terms: ApprovalRequest, trigger: Trigger) -> bool:
    now = _texts(trigger)
    known = "title" in now and "title" in terms.texts
    return not known or all(now.get(kind) == terms.texts.get(kind) for kind in _TOPIC)


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
    rulebook: CompiledRails,
    verdict: Verdict,
    reason: str,
    trigger: Trigger | None = None,
    terms: ApprovalRequest | None = None,
) -> Decision:
    checks = [
        Check("trigger", "trigger", CheckOutcome.PASS, None, command.verb, f"command {command.verb}", "an approval")
    ]
    if trigger is not None and terms is not None:
        outcome = CheckOutcome.PASS if verdict is Verdict.ALLOWED else CheckOutcome.FAIL
        checks.append(Check("who", "who", outcome, None, trigger.sender, approvers(terms.by)))
    return Decision(verdict=verdict, reason=reason, rails_revision=rulebook.revision, checks=tuple(checks))
