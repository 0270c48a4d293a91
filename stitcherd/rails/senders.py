"""Checks whether the sender of a delivery may request a job."""

from msgspec import Struct

from shared.models import Check, CheckOutcome, Remedy
from stitcherd.rails.compiled import Group, TriggerRule
from stitcherd.rails.globs import fold
from stitcherd.rails.groups import (
    BY_PERMISSION,
    People,
    describe_account,
    is_foreign,
    joining_remedy,
    membership_of_any,
    why_not_asked,
)
from stitcherd.rails.verdicts import Objection
from stitcherd.sources.trigger import Trigger

WHO_UNREACHED = Check("who", "who", CheckOutcome.UNREACHED)

_NO_ACCOUNT = "the account that sent this, or wrote its text, is missing (deleted)"
_UNREAD_LOGIN = "the account that sent this, or wrote its text, has a login that cannot be read"


class SenderResult(Struct, frozen=True):
    """The check of a sender, and the objection to it; `unknown`: neither, until the forge is asked."""

    check: Check
    objection: Objection | None = None
    unknown: bool = False


def sent_by_author(trigger: Trigger) -> bool:
    """Say whether the sender of a delivery wrote its text; also if one of them is missing, which is denied anyway."""
    sender, author = trigger.sender, trigger.author
    return not sender or not author or fold(sender) == fold(author)


def check_sender(rule: TriggerRule, people: People) -> SenderResult:
    """Check the sender against the groups of a trigger.

    The sender must be in one of the groups and, where the trigger wants a command, have written the text.
    """
    trigger = people.trigger
    sender = trigger.sender
    if sender is None or (trigger.author is None and (trigger.commands or trigger.quotes)):
        missing = _UNREAD_LOGIN if trigger.unread_login else _NO_ACCOUNT
        check = _check(rule, CheckOutcome.FAIL, sender, because=missing)
        return SenderResult(check, Objection(f"who: {missing}"))
    found, group = membership_of_any(rule.who, sender, people)
    if found.member is not False and rule.command is not None and not sent_by_author(trigger):
        remedy = Remedy(f"write the command as {sender}", rule.line)
        objection = Objection(f"who: {trigger.author} wrote the command that {sender} sent", remedy)
        because = f"{trigger.author} wrote the command"
        return SenderResult(_check(rule, CheckOutcome.FAIL, sender, group, because=because), objection)
    if group is not None and found is BY_PERMISSION:
        wanted = f"{group.name} (permission {group.permission})"
        seen = describe_account(sender, people)
        return SenderResult(_check(rule, CheckOutcome.PASS, seen, group, wanted=wanted, because=found.by))
    if group is not None:
        return SenderResult(_check(rule, CheckOutcome.PASS, sender, group, because=found.by))
    if found.member is None:
        because = f"its permission on {trigger.repository} must be asked of {trigger.source}"
        check = _check(rule, CheckOutcome.ASK, sender, wanted=_wanted_permissions(rule), because=because)
        return SenderResult(check, unknown=True)
    return _refuse(rule, sender, people)


def _refuse(rule: TriggerRule, sender: str, people: People) -> SenderResult:
    """Return the check of a sender that is in none of the groups."""
    change = people.changed.get(fold(sender))
    if change is not None and any(fold(sender) in group.users for group in rule.who):
        check = _check(rule, CheckOutcome.FAIL, change.seen, because=change.reason)
        return SenderResult(check, Objection(f"who: {change.reason}", change.remedy))
    access, wanted = people.access_of(sender), None
    because = why_not_asked(rule.who, sender, people)
    if access is not None:
        wanted = _wanted_permissions(rule)
        if access.failure is not None:
            check = _check(rule, CheckOutcome.FAIL, sender, wanted=wanted, because=access.failure)
            return SenderResult(
                check, Objection(f"who: {access.failure}", Remedy(access.hint) if access.hint else None)
            )
    reason = f"{sender} is in none of {', '.join(group.name for group in rule.who)}"
    if is_foreign(sender, people.trigger):
        reason = because = f"source {people.trigger.source} cannot act for {sender}"
    check = _check(rule, CheckOutcome.FAIL, describe_account(sender, people), wanted=wanted, because=because)
    return SenderResult(check, Objection(f"who: {reason}", joining_remedy(rule.who, sender, people)))


def _wanted_permissions(rule: TriggerRule) -> str:
    return " or ".join(
        f"{each.name} (permission {each.permission})" if each.permission else each.name for each in rule.who
    )


def _check(
    rule: TriggerRule,
    outcome: CheckOutcome,
    seen: str | None,
    group: Group | None = None,
    *,
    wanted: str | None = None,
    because: str | None,
) -> Check:
    return Check(
        id="who",
        kind="who",
        outcome=outcome,
        line=(group or rule.who[0]).line,
        seen=seen,
        wanted=wanted or rule.wanted_who,
        because=because,
    )
