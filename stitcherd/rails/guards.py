"""Checks a delivery against all guards; deny takes precedence over require-approval, and that over allow."""

from msgspec import Struct

from shared.ids import short_sha
from shared.models import Check, CheckOutcome, Remedy
from stitcherd.rails.compiled import ApprovalRules, CompiledRails, GuardRule
from stitcherd.rails.globs import fold, joined_names
from stitcherd.rails.groups import People, describe_account, joining_remedy, membership_of_any
from stitcherd.rails.schema import STATES
from stitcherd.rails.verdicts import NeedsApproval, Objection, combine_remedies
from stitcherd.sources.trigger import Trigger

_SKIP = CheckOutcome.SKIP  # looking up an enum member costs as much as creating a check
_ABSENT = "not there"  # what a check shows for a fact that the delivery does not have
_NOT_APPLICABLE = "does not apply"
_NOTHING_HIDDEN = "no hidden text"
_OTHERWISE = {"draft": "ready for review", "closed": "open", "locked": "not locked"}  # what a thread else is
_LEAVING = {"draft": "mark the {} as ready for review", "closed": "reopen the {}", "locked": "unlock the {}"}
_HEAD = "the head of the change; the base, if the repository does not have it"
_VISIBLE = Check("hidden", "guard", CheckOutcome.PASS, None, _NOTHING_HIDDEN)
_START_UNREACHED = Check("start", "guard", CheckOutcome.UNREACHED)
_UNREAD = Check("hidden", "guard", CheckOutcome.UNREACHED)


class GuardsResult(Struct, frozen=True):
    """A check for each guard, and the objection if one denies, else the approval needed if one requires it.

    `unknown` are the authors whose permissions must be asked before it is known which guards apply; none where one
    denies anyway.
    """

    checks: list[Check]
    against: Objection | NeedsApproval | None = None
    unknown: tuple[str, ...] = ()


class _Authors(Struct, frozen=True):
    """Whose text the agent would read, relative to some groups: who is outside of them, and of whom that is unknown."""

    outsiders: list[str | None]
    unknown: list[str]


class _DeliveryFacts(Struct, frozen=True):
    """The facts of a delivery that guards look at, computed once for all of them."""

    trigger: Trigger
    kind: str
    authors: tuple[str | None, ...]  # whose text the agent would read; None is a deleted account
    written_by: str
    labels: dict[str, str]  # as compared → as written
    labelled: str
    forked: str
    states: dict[str, str]  # as guards name them → how the thread is
    outside: dict[str, _Authors]  # by the names of the groups
    people: People


def check_guards(rails: CompiledRails, people: People) -> GuardsResult:
    """Check a delivery against all guards."""
    facts = _delivery_facts(people)
    checks: list[Check] = []
    applying: list[GuardRule] = []
    unknown: dict[str, None] = {}
    asks = people.cannot_ask is None
    labels, labelled, known = facts.labels.keys(), facts.labelled, facts.outside
    written: dict[str, str] = {}  # by the names of the groups: the authors outside of them
    for guard in rails.guards:
        if guard.sole == "labels":  # the most frequent kind, so made fast
            unmet = labelled if labels.isdisjoint(guard.labels_any) else None
        elif guard.sole == "author" and (outside := known.get(guard.outside)) is not None and not outside.unknown:
            unmet = facts.kind if facts.kind not in guard.author_of else None if outside.outsiders else facts.written_by
        else:
            unmet = _unmet_condition(guard, facts)
        if unmet is not None:
            checks.append(Check(guard.check, "guard", _SKIP, guard.line, unmet, guard.wanted, _NOT_APPLICABLE))
            continue
        undecided = _undecided_check(guard, facts, unknown) if guard.author_of and asks else None
        if undecided is not None:
            checks.append(undecided)
            continue
        seen = written.get(guard.outside) if guard.sole == "author" else None
        if seen is None:
            seen = " and ".join(_evidence(guard, facts))
            if guard.sole == "author":
                written[guard.outside] = seen
        checks.append(Check(guard.check, "guard", guard.outcome, guard.line, seen, guard.wanted, guard.because))
        if guard.then != "allow":
            applying.append(guard)
    against = _objection(applying, facts, rails.approvals) if applying else None
    return GuardsResult(checks, against, () if isinstance(against, Objection) else tuple(unknown))


def check_hidden(trigger: Trigger, *, reached: bool) -> list[Check]:
    """Return the check that shows what was hidden in the texts that the agent would read; none without any text."""
    if not trigger.quotes and not trigger.hidden:
        return []
    if not reached:
        return [_UNREAD]
    if not trigger.hidden:
        return [_VISIBLE]
    seen = ", ".join(trigger.hidden)
    return [Check("hidden", "guard", CheckOutcome.PASS, None, seen, None, "removed: the agent does not get it")]


def check_start(trigger: Trigger, head_ref: str | None, *, reached: bool) -> list[Check]:
    """Return the check that shows whether a job on a change starts from its head; none for any other delivery.

    `head_ref` is the ref of that head, None where the source's repositories have none.
    """
    if trigger.thread is None or trigger.thread.kind != "change":
        return []
    if not reached:
        return [_START_UNREACHED]
    if head_ref is None:
        missing = f"the commits of change #{trigger.thread.number} are not in this checkout"
        return [Check("start", "guard", CheckOutcome.PASS, None, "the base", None, missing)]
    seen = f"{head_ref} at {short_sha(trigger.head_sha)}" if trigger.head_sha else head_ref
    return [Check("start", "guard", CheckOutcome.PASS, None, seen, None, _HEAD)]


def approvers(by: tuple[str, ...]) -> str:
    """Return who may approve, as the beginning of a sentence."""
    return f"a member of {' or '.join(by)}" if by else "the operator"


def skipped_guards(guards: tuple[GuardRule, ...]) -> list[Check]:
    """Return the checks of guards for a manual dispatch, which has none of the facts that they look at."""
    return [Check(guard.check, "guard", _SKIP, guard.line, _ABSENT, guard.wanted, _NOT_APPLICABLE) for guard in guards]


def _undecided_check(guard: GuardRule, facts: _DeliveryFacts, unknown: dict[str, None]) -> Check | None:
    """Return the check of a guard of which it is not known whether it applies; add the `unknown` authors that matter.

    They matter also where it applies because of others: who is an outsider may not approve.
    """
    authors = _authors_outside(guard, facts)
    if guard.then != "allow":
        unknown.update(dict.fromkeys(authors.unknown))
    if authors.outsiders or not authors.unknown:
        return None
    seen, because = ", ".join(authors.unknown), "whether it applies depends on a permission that was not asked"
    return Check(guard.check, "guard", CheckOutcome.UNREACHED, guard.line, seen, guard.wanted, because)


def _delivery_facts(people: People) -> _DeliveryFacts:
    trigger = people.trigger
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
        states={state: _state(trigger, state) for state in STATES},
        outside={},
        people=people,
    )


def _authors(trigger: Trigger) -> tuple[str | None, ...]:
    authors = [quote.author for quote in trigger.quotes]
    if trigger.thread is not None:
        authors.append(trigger.thread.author)
    if trigger.author is not None or trigger.commands:
        authors.append(trigger.author)
    if trigger.by_source:  # such a source does not name the author of a thread: its text counts as its own
        authors = [author or trigger.sender for author in authors]
    return tuple(dict.fromkeys(authors))


def _forked(trigger: Trigger) -> str:
    if trigger.from_fork is not None:
        return "from a fork" if trigger.from_fork else "not from a fork"
    change = trigger.thread is not None and trigger.thread.kind == "change"
    return "unknown" if change or (trigger.name or "").startswith("change.") else _ABSENT


def _state(trigger: Trigger, state: str) -> str:
    holds = getattr(trigger, state)
    if holds is None:
        return _ABSENT
    return state if holds else _OTHERWISE[state]


def _unmet_condition(guard: GuardRule, facts: _DeliveryFacts) -> str | None:
    """Return what was seen of the first condition of a guard that does not hold, or None if all hold."""
    if guard.author_of:
        if facts.kind not in guard.author_of:
            return facts.kind
        authors = _authors_outside(guard, facts)
        if not authors.outsiders and not authors.unknown:
            return facts.written_by
    if guard.from_fork and facts.forked in {"not from a fork", _ABSENT}:
        return facts.forked
    if guard.labels_any and facts.labels.keys().isdisjoint(guard.labels_any):
        return facts.labelled
    if guard.hidden_text and not facts.trigger.hidden:
        return _NOTHING_HIDDEN
    return next((facts.states[state] for state in guard.states if facts.states[state] != state), None)


def _authors_outside(guard: GuardRule, facts: _DeliveryFacts) -> _Authors:
    known = facts.outside.get(guard.outside)
    if known is None:
        known = _Authors([], [])
        for author in facts.authors:
            member = False if author is None else membership_of_any(guard.not_in, author, facts.people)[0].member
            if author is not None and member is None:
                known.unknown.append(author)
            elif not member:
                known.outsiders.append(author)
        facts.outside[guard.outside] = known
    return known


def _outsiders(guard: GuardRule, facts: _DeliveryFacts) -> list[str | None]:
    return _authors_outside(guard, facts).outsiders


def _evidence(guard: GuardRule, facts: _DeliveryFacts) -> list[str]:
    """Return what was seen for each condition of a guard that applies."""
    seen = []
    if guard.author_of:
        seen.append(", ".join(_shown(author, facts) for author in _outsiders(guard, facts)))
    if guard.from_fork:
        seen.append(facts.forked)
    if guard.labels_any:
        seen.append(joined_names(_found(guard, facts), ""))
    if guard.hidden_text:
        seen.append(", ".join(facts.trigger.hidden))
    return [*seen, *guard.states]


def _shown(author: str | None, facts: _DeliveryFacts) -> str:
    if author is None:
        return "unknown"
    change = facts.people.changed.get(fold(author)) if facts.people.changed else None
    return f"{change.seen} ({change.reason})" if change else describe_account(author, facts.people)


def _found(guard: GuardRule, facts: _DeliveryFacts) -> list[str]:
    return [label for key, label in facts.labels.items() if key in guard.labels_any]


def _objection(applying: list[GuardRule], facts: _DeliveryFacts, rules: ApprovalRules) -> Objection | NeedsApproval:
    first = next((guard for guard in applying if guard.then == "deny"), applying[0])
    reason = f"guard {first.id}: {first.because}"
    if first.then != "deny":
        by_whom: dict[tuple[str, ...], GuardRule] = {}
        for guard in applying:
            by_whom.setdefault(guard.by, guard)
        remedy = combine_remedies([Remedy(f"{approvers(by)} approves", guard.line) for by, guard in by_whom.items()])
        outside = {guard.outside: guard for guard in applying if guard.author_of}
        outsiders = dict.fromkeys(each for guard in outside.values() for each in _outsiders(guard, facts) if each)
        return NeedsApproval(tuple(applying), rules, reason, remedy, tuple(outsiders))
    remedies = [_remedy(guard, facts) for guard in applying]
    known = [remedy for remedy in remedies if remedy is not None]
    return Objection(reason, combine_remedies(known) if len(known) == len(remedies) else None)


def _remedy(guard: GuardRule, facts: _DeliveryFacts) -> Remedy | None:
    """Return the smallest change after which a guard no longer applies."""
    if guard.labels_any:
        return Remedy(f"remove the label {' and '.join(_found(guard, facts))}", guard.line)
    if guard.from_fork:
        unknown, moving = f"remove change_from_fork from guard {guard.id}", "move the change to a branch of"
        return Remedy(unknown if facts.forked == "unknown" else f"{moving} {facts.trigger.repository}", guard.line)
    if guard.hidden_text:
        return Remedy(f"remove the {' and the '.join(facts.trigger.hidden)}", guard.line)
    if guard.states:
        return Remedy(_LEAVING[guard.states[0]].format(facts.kind), guard.line)
    outside = [author for author in _outsiders(guard, facts) if author is not None]
    if None in _outsiders(guard, facts):
        return None
    remedies = [joining_remedy(guard.not_in, author, facts.people) for author in outside]
    known = [remedy for remedy in remedies if remedy is not None]
    return combine_remedies(known) if len(known) == len(remedies) else None
