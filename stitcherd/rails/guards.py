"""What the guards say of a delivery; all are asked, and deny beats require-approval beats allow."""

from msgspec import Struct

from shared.models import Check, Outcome, Remedy
from stitcherd.rails.people import joining, membership
from stitcherd.rails.refused import Refused, together
from stitcherd.rails.rulebook import ApprovalRules, GuardRule, Rulebook, fold, shown
from stitcherd.trigger import Trigger

_SKIP = Outcome.SKIP  # reading a member off its enum costs as much as making a whole check
_NOT_THERE = "not there"  # what a guard sees of a fact that the delivery has nothing to say about
_IDLE = "does not apply"


class _Scene(Struct, frozen=True):
    """A delivery as guards look at it, made once for all of them."""

    trigger: Trigger
    kind: str
    authors: tuple[str | None, ...]  # whose text the agent would read; None is an account that is gone
    written_by: str
    labels: dict[str, str]  # as compared → as written
    labelled: str
    forked: str
    outsiders: dict[str, list[str | None]]  # by the names of the groups that they are not in


class Waits(Struct, frozen=True):
    """That a person is to be asked: the guards that want it, why, who may answer, and whose text it is about."""

    guards: tuple[GuardRule, ...]
    rules: ApprovalRules
    reason: str
    remedy: Remedy | None
    outsiders: tuple[str, ...]


def guarded(rulebook: Rulebook, trigger: Trigger) -> tuple[list[Check], Refused | Waits | None]:
    """Return a check for each guard, and the refusal where one denies, or else who is to be asked where one asks."""
    scene = _scene(trigger)
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
            checks.append(Check(guard.check, "guard", _SKIP, guard.line, idle, guard.wanted, _IDLE))
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


def approver(by: tuple[str, ...]) -> str:
    """Return who answers for a guard, as a sentence begins."""
    return f"a member of {' or '.join(by)}" if by else "the operator"


def untouched(guards: tuple[GuardRule, ...]) -> list[Check]:
    """Return the checks of guards for a manual dispatch, which brings none of the facts that they ask about."""
    return [Check(guard.check, "guard", _SKIP, guard.line, _NOT_THERE, guard.wanted, _IDLE) for guard in guards]


def _scene(trigger: Trigger) -> _Scene:
    authors = _authors(trigger)
    labels = {fold(label): label for label in trigger.labels}
    return _Scene(
        trigger=trigger,
        kind=trigger.thread.kind if trigger.thread else _NOT_THERE,
        authors=authors,
        written_by=", ".join(author or "unknown" for author in authors),
        labels=labels,
        labelled=shown(trigger.labels, "no labels"),
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
    return "unknown" if change or (trigger.name or "").startswith("change.") else _NOT_THERE


def _why_not(guard: GuardRule, scene: _Scene) -> str | None:
    """Return what was seen where a condition of a guard does not hold, or None where all hold."""
    if guard.author_of:
        if scene.kind not in guard.author_of:
            return scene.kind
        if not _outsiders(guard, scene):
            return scene.written_by
    if guard.from_fork and scene.forked in {"not from a fork", _NOT_THERE}:
        return scene.forked
    if guard.labels_any and scene.labels.keys().isdisjoint(guard.labels_any):
        return scene.labelled
    return None


def _outsiders(guard: GuardRule, scene: _Scene) -> list[str | None]:
    known = scene.outsiders.get(guard.outside)
    if known is None:
        known = [
            author
            for author in scene.authors
            if author is None or not any(membership(group, author, scene.trigger) for group in guard.not_in)
        ]
        scene.outsiders[guard.outside] = known
    return known


def _evidence(guard: GuardRule, scene: _Scene) -> list[str]:
    """Return what was seen of each condition of a guard that applies."""
    seen = []
    if guard.author_of:
        outside = _outsiders(guard, scene)
        seen.append(outside[0] or "unknown" if len(outside) == 1 else ", ".join(each or "unknown" for each in outside))
    if guard.from_fork:
        seen.append(scene.forked)
    if guard.labels_any:
        seen.append(shown(_found(guard, scene), ""))
    return seen


def _found(guard: GuardRule, scene: _Scene) -> list[str]:
    return [label for key, label in scene.labels.items() if key in guard.labels_any]


def _against(against: list[GuardRule], scene: _Scene, rules: ApprovalRules) -> Refused | Waits:
    first = next((guard for guard in against if guard.then == "deny"), against[0])
    reason = f"guard {first.id}: {first.because}"
    if first.then != "deny":
        by_whom: dict[tuple[str, ...], GuardRule] = {}
        for guard in against:
            by_whom.setdefault(guard.by, guard)
        asked = together([Remedy(f"{approver(by)} approves", guard.line) for by, guard in by_whom.items()])
        outside = {guard.outside: guard for guard in against if guard.author_of}
        outsiders = dict.fromkeys(each for guard in outside.values() for each in _outsiders(guard, scene) if each)
        return Waits(tuple(against), rules, reason, asked, tuple(outsiders))
    remedies = [_remedy(guard, scene) for guard in against]
    known = [remedy for remedy in remedies if remedy is not None]
    return Refused(reason, together(known) if len(known) == len(remedies) else None)


def _remedy(guard: GuardRule, scene: _Scene) -> Remedy | None:
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
    return together([joining(guard.not_in, author, scene.trigger) for author in outside])
