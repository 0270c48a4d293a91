"""What the guards say of a delivery; all are asked, and deny beats require-approval beats allow."""

from msgspec import Struct

from shared.models import Check, CheckOutcome, Remedy
from stitcherd.rails.compiled import ApprovalRules, CompiledRails, GuardRule
from stitcherd.rails.globs import fold, joined_names
from stitcherd.rails.groups import joining_remedy, membership
from stitcherd.rails.verdicts import NeedsApproval, Objection, combine_remedies
from stitcherd.sources.trigger import Trigger

_SKIP = CheckOutcome.SKIP  # reading a member off its enum costs as much as making a whole check
_ABSENT = "not there"  # what a guard sees of a fact that the delivery has nothing to say about
_NOT_APPLICABLE = "does not apply"


class _DeliveryFacts(Struct, frozen=True):
    """A delivery as guards look at it, made once for all of them."""

    trigger: Trigger
    kind: str
    authors: tuple[str | None, ...]  # whose text the agent would read; None is an account that is gone
    written_by: str
    labels: dict[str, str]  # as compared → as written
    labelled: str
    forked: str
    outsiders: dict[str, list[str | None]]  # by the names of the groups that they are not in


def check_guards(rulebook: CompiledRails, trigger: Trigger) -> tuple[list[Check], Objection | NeedsApproval | None]:
    """Return a check for each guard, and the refusal where one denies, or else who is to be asked where one asks."""
    scene = _delivery_facts(trigger)
    checks: list[Check] = []
    against: list[GuardRule] = []
    labels, labelled, outsiders = scene.labels.keys(), scene.labelled, scene.outsiders
    written: dict[str, str] = {}  # by the names of the groups, whose text it is
    for guard in rulebook.guards:
        if guard.sole == "labels":  # most often, and so made cheap
            idle = labelled if labels.isdisjoint(guard.labels_any) else None
        elif guard.sole == "author" and (outside := outsiders.get(guard.outside)) is not None:
            idle = scene.kind if scene.kind not in guard.author_of else None if outside else scene.written_by
        else:
            idle = _why_not(guard, scene)
        if idle is not None:
            checks.append(Check(guard.check, "guard", _SKIP, guard.line, idle, guard.wanted, _NOT_APPLICABLE))
            continue
        seen = written.get(guard.outside) if guard.sole == "author" else None
        if seen is None:
            seen = " and ".join(_evidence(guard, scene))
            if guard.sole == "author":
                written[guard.outside] = seen
        checks.append(Check(guard.check, "guard", guard.outcome, guard.line, seen, guard.wanted, guard.because))
        if guard.then != "allow":
            against.append(guard)
    return checks, _against(against, scene, rulebook.approvals) if against else None


def approvers(by: tuple[str, ...]) -> str:
    """Return who answers for a guard, as a sentence begins."""
    return f"a member of {' or '.join(by)}" if by else "the operator"


def skipped_guards(guards: tuple[GuardRule, ...]) -> list[Check]:
    """Return the checks of guards for a manual dispatch, which brings none of the facts that they ask about."""
    return [Check(guard.check, "guard", _SKIP, guard.line, _ABSENT, guard.wanted, _NOT_APPLICABLE) for guard in guards]


def _delivery_facts(trigger: Trigger) -> _DeliveryFacts:
    authors = _authors(trigger)
    labels = {fold(label): label for label in trigger.labels}
    return _DeliveryFacts(
        trigger=trigger,
        kind=trigger.thread.kind if trigger.thread else _ABSENT,
        authors=authors,
        written_by=", ".join(author or "unknown" for author in authors),
        labels=labels,
        labelled=joined_names(trigger.labels, "no labels"),
        forked=_forked(trigger),
        outsiders={},
    )


def _authors(trigger: Trigger) -> tuple[str | None, ...]:
    authors = [quote.author for quote in trigger.quotes]
    if trigger.thread is not None:
        authors.append(trigger.thread.author)
    if trigger.author is not None or trigger.commands:
        authors.append(trigger.author)
    if trigger.by_source:  # who wrote a thread is not said there: its text is the source's own
        authors = [author or trigger.sender for author in authors]
    return tuple(dict.fromkeys(authors))


def _forked(trigger: Trigger) -> str:
    if trigger.from_fork is not None:
        return "from a fork" if trigger.from_fork else "not from a fork"
    change = trigger.thread is not None and trigger.thread.kind == "change"
    return "unknown" if change or (trigger.name or "").startswith("change.") else _ABSENT


def _why_not(guard: GuardRule, scene: _DeliveryFacts) -> str | None:
    """Return what was seen where a condition of a guard does not hold, or None where all hold."""
    if guard.author_of:
        if scene.kind not in guard.author_of:
            return scene.kind
        if not _outsiders(guard, scene):
            return scene.written_by
    if guard.from_fork and scene.forked in {"not from a fork", _ABSENT}:
        return scene.forked
    if guard.labels_any and scene.labels.keys().isdisjoint(guard.labels_any):
        return scene.labelled
    return None


def _outsiders(guard: GuardRule, scene: _DeliveryFacts) -> list[str | None]:
    known = scene.outsiders.get(guard.outside)
    if known is None:
        known = [
            author
            for author in scene.authors
            if author is None or not any(membership(group, author, scene.trigger) for group in guard.not_in)
        ]
        scene.outsiders[guard.outside] = known
    return known


def _evidence(guard: GuardRule, scene: _DeliveryFacts) -> list[str]:
    """Return what was seen of each condition of a guard that applies."""
    seen = []
    if guard.author_of:
        outside = _outsiders(guard, scene)
        seen.append(outside[0] or "unknown" if len(outside) == 1 else ", ".join(each or "unknown" for each in outside))
    if guard.from_fork:
        seen.append(scene.forked)
    if guard.labels_any:
        seen.append(joined_names(_found(guard, scene), ""))
    return seen


def _found(guard: GuardRule, scene: _DeliveryFacts) -> list[str]:
    return [label for key, label in scene.labels.items() if key in guard.labels_any]


def _against(against: list[GuardRule], scene: _DeliveryFacts, rules: ApprovalRules) -> Objection | NeedsApproval:
    first = next((guard for guard in against if guard.then == "deny"), against[0])
    reason = f"guard {first.id}: {first.because}"
    if first.then != "deny":
        by_whom: dict[tuple[str, ...], GuardRule] = {}
        for guard in against:
            by_whom.setdefault(guard.by, guard)
        asked = combine_remedies([Remedy(f"{approvers(by)} approves", guard.line) for by, guard in by_whom.items()])
        outside = {guard.outside: guard for guard in against if guard.author_of}
        outsiders = dict.fromkeys(each for guard in outside.values() for each in _outsiders(guard, scene) if each)
        return NeedsApproval(tuple(against), rules, reason, asked, tuple(outsiders))
    remedies = [_remedy(guard, scene) for guard in against]
    known = [remedy for remedy in remedies if remedy is not None]
    return Objection(reason, combine_remedies(known) if len(known) == len(remedies) else None)


def _remedy(guard: GuardRule, scene: _DeliveryFacts) -> Remedy | None:
    """Return the smallest change after which a guard would no longer apply."""
    if guard.labels_any:
        return Remedy(f"remove the label {' and '.join(_found(guard, scene))}", guard.line)
    if guard.from_fork and scene.forked == "unknown":
        return Remedy(f"take change_from_fork out of guard {guard.id}", guard.line)
    if guard.from_fork:
        return Remedy(f"bring the change into a branch of {scene.trigger.repository}", guard.line)
    outside = [author for author in _outsiders(guard, scene) if author is not None]
    if None in _outsiders(guard, scene):
        return None
    return combine_remedies([joining_remedy(guard.not_in, author, scene.trigger) for author in outside])
