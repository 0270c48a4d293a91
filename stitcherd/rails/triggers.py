"""Finds the trigger that matches a delivery, and says why the others do not."""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from shared.models import Check, CheckOutcome, Remedy
from stitcherd.rails.compiled import TriggerRule
from stitcherd.rails.globs import fold, joined_names
from stitcherd.rails.verdicts import Objection, combine_remedies
from stitcherd.sources.text import COMMAND_EVENTS, COMMENT_MAX, find_mention
from stitcherd.sources.trigger import Trigger

_FAIL = CheckOutcome.FAIL  # looking up an enum member costs as much as creating a check
_MALFORMED = (
    "a command is a line of its own outside quotes, lists and code:"
    " the mention, a space, and a verb of letters, digits, - and _"
)
_TOO_LONG = f"a text of more than {COMMENT_MAX:,} characters has no commands"
_MAX_TYPOS_CHECKED = 8  # commands of a comment that are compared; a sender may write thousands
_TYPO_DEPTH = 4  # deeper than any condition: a mistyped command is the nearest miss


class TriggerMatch(Struct, frozen=True):
    """The first trigger that matches, the text of its command, and the checks of it and of those before it."""

    checks: list[Check]
    rule: TriggerRule
    text: str


class NearMiss(Struct, frozen=True):
    """No trigger matches; the objection names the one that came nearest."""

    checks: list[Check]
    objection: Objection


class _Delivery(Struct, frozen=True):
    """The facts of a delivery that triggers look at, computed once for all of them."""

    verbs: dict[str, str]  # verb → its free text, in the order of the text
    written: str
    malformed: str | None  # why a mention of the bot is not a command
    repository: str
    assignees: frozenset[str]
    assigned: str
    labels: frozenset[str]
    labelled: str
    bot: str | None


class _FailedCondition(Struct, frozen=True, gc=False):
    """A condition that does not hold, and what would make it hold; `depth` grows with the order of conditions."""

    depth: int
    seen: str
    wanted: str
    remedy: str | None


def match_triggers(rules: tuple[TriggerRule, ...], trigger: Trigger, bot: str | None) -> TriggerMatch | NearMiss:
    """Return the first trigger whose conditions all hold; `rules` must not be empty."""
    delivery = _delivery(trigger, bot)
    if len(delivery.verbs) > 1:
        rules = _in_order_of_the_text(rules, delivery.verbs)
    checks: list[Check] = []
    nearest, nearest_depth = rules[0], -1
    for rule in rules:
        if rule.command is not None and rule.command not in delivery.verbs:  # the most frequent case, so made fast
            depth, seen, wanted = 0, delivery.written, rule.wanted_command
        else:
            miss = next(_failed_conditions(rule, delivery), None)
            if miss is None:
                checks.append(_passed(rule, trigger, delivery))
                return TriggerMatch(checks, rule, delivery.verbs.get(rule.command or "", ""))
            depth, seen, wanted = miss.depth, miss.seen, miss.wanted
        because = delivery.malformed if depth == 0 else None
        checks.append(Check(rule.check, "trigger", _FAIL, rule.line, seen, wanted, because))
        if depth > nearest_depth:
            nearest, nearest_depth = rule, depth
    verbs = list(delivery.verbs)[:_MAX_TYPOS_CHECKED]
    lengths = {length for verb in verbs for length in range(len(verb) - 1, len(verb) + 2)}
    for at, rule in enumerate(rules):
        command = rule.command
        if command is None or len(command) not in lengths or command in delivery.verbs:
            continue
        if not any(_is_one_typo(each, command) for each in verbs):
            continue
        checks[at] = replace(checks[at], because=f"did you mean {command}?")
        if nearest_depth < _TYPO_DEPTH:
            nearest, nearest_depth = rule, _TYPO_DEPTH
    return NearMiss(checks, _objection(nearest, list(_failed_conditions(nearest, delivery)), delivery.malformed))


def _in_order_of_the_text(rules: tuple[TriggerRule, ...], verbs: dict[str, str]) -> tuple[TriggerRule, ...]:
    """Return the rules with those for commands in the order in which the text has the commands, absent ones last.

    The first command of a text decides, whatever the order of the rules. Rules without a command keep their places.
    """
    places = {verb: place for place, verb in enumerate(verbs)}
    wanted = [rule for rule in rules if rule.command is not None]
    ordered = iter(sorted(wanted, key=lambda rule: places.get(rule.command or "", len(places))))
    return tuple(rule if rule.command is None else next(ordered) for rule in rules)


def _delivery(trigger: Trigger, bot: str | None) -> _Delivery:
    verbs: dict[str, str] = {}
    for command in trigger.commands:
        verbs.setdefault(command.verb, command.text)
    text = None if trigger.commands else _command_text(trigger)
    mention = text and find_mention(text, bot)
    logins = (each.rpartition(":")[2] for each in trigger.assignees)
    return _Delivery(
        verbs=verbs,
        written=mention or joined_names((f"@{bot or 'bot'} {verb}" for verb in verbs), "no command"),
        malformed=(_MALFORMED if len(text) <= COMMENT_MAX else _TOO_LONG) if text and mention else None,
        repository=trigger.repository or "",
        assignees=frozenset(map(fold, (*trigger.assignees, *logins))),
        assigned=joined_names(trigger.assignees, "nobody"),
        labels=frozenset(map(fold, trigger.labels)),
        labelled=joined_names(trigger.labels, "no labels"),
        bot=bot,
    )


def _command_text(trigger: Trigger) -> str | None:
    """Return the visible text of a delivery in which commands count, None where it has none."""
    if trigger.name not in COMMAND_EVENTS or not trigger.quotes or trigger.quotes[-1].kind != "comment":
        return None
    return trigger.quotes[-1].text


def _failed_conditions(rule: TriggerRule, delivery: _Delivery) -> Iterator[_FailedCondition]:
    """Yield the conditions of a trigger that do not hold, in the order in which they are checked."""
    if rule.command is not None and rule.command not in delivery.verbs:
        line = f"write a line that starts with `@{delivery.bot or 'bot'} {rule.command}`"
        yield _FailedCondition(0, delivery.written, rule.wanted_command, line)
    if rule.repos is not None and not (delivery.repository and rule.repos.match(delivery.repository)):
        matching = f"let repos of trigger {rule.id} match {delivery.repository}" if delivery.repository else None
        yield _FailedCondition(1, delivery.repository or "no repository", f"repos {rule.wanted_repos}", matching)
    if rule.assignee is not None:
        account = _assignee(rule, delivery)
        if account is None or fold(account) not in delivery.assignees:
            assigning = f"assign {account}" if account else None
            yield _FailedCondition(2, delivery.assigned, f"assignee {account or rule.assignee}", assigning)
    for key, label in rule.labels_all.items():
        if key not in delivery.labels:
            yield _FailedCondition(3, delivery.labelled, f"label {label}", f"add the label {label}")
    for key, label in rule.labels_none.items():
        if key in delivery.labels:
            yield _FailedCondition(3, delivery.labelled, f"no label {label}", f"remove the label {label}")


def _assignee(rule: TriggerRule, delivery: _Delivery) -> str | None:
    return delivery.bot if rule.assignee == "@bot" else rule.assignee


def _passed(rule: TriggerRule, trigger: Trigger, delivery: _Delivery) -> Check:
    if rule.command is not None:
        seen, wanted = f"@{delivery.bot or 'bot'} {rule.command}", rule.wanted_command
    elif rule.assignee is not None:
        seen, wanted = delivery.assigned, f"assignee {_assignee(rule, delivery)}"
    else:
        seen, wanted = trigger.name or "", rule.wanted_event
    because = None
    if rule.command is not None and len(trigger.commands) > 1:
        verbs = [command.verb for command in trigger.commands]
        verbs.remove(rule.command)
        others = joined_names((f"@{delivery.bot or 'bot'} {verb}" for verb in verbs), "")
        because = f"not run: {others}, since a comment starts one job"
    return Check(rule.check, "trigger", CheckOutcome.PASS, rule.line, seen, wanted, because)


def _objection(rule: TriggerRule, misses: list[_FailedCondition], malformed: str | None) -> Objection:
    first = misses[0]
    remedies = [Remedy(miss.remedy, rule.line) for miss in misses if miss.remedy is not None]
    detail = f" ({malformed})" if malformed and first.depth == 0 else ""
    return Objection(
        f"no trigger matches: {rule.id} wants {first.wanted}, seen {first.seen}{detail}",
        combine_remedies(remedies) if len(remedies) == len(misses) else None,
    )


def _is_one_typo(written: str, meant: str) -> bool:
    """Say whether one letter was added, omitted or replaced, or two adjacent ones were swapped."""
    if written == meant or abs(len(written) - len(meant)) > 1:
        return False
    start = 0
    while start < min(len(written), len(meant)) and written[start] == meant[start]:
        start += 1
    here, there = written[start:], meant[start:]
    return (
        here[1:] == there
        or here == there[1:]
        or here[1:] == there[1:]
        or (here[:2] == there[1::-1] and here[2:] == there[2:])
    )
