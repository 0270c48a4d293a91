"""Decides who is in which group, and whether the sender of a delivery may request a job."""

from collections.abc import Iterable, Mapping

from shared.models import Check, CheckOutcome, Remedy
from stitcherd.rails.accounts import ChangedAccount
from stitcherd.rails.compiled import Group, TriggerRule
from stitcherd.rails.globs import fold
from stitcherd.rails.verdicts import Objection
from stitcherd.sources.trigger import Trigger

WHO_UNREACHED = Check("who", "who", CheckOutcome.UNREACHED)

_NO_ACCOUNT = "the account that sent this, or wrote its text, is missing (deleted)"


def membership(group: Group, account: str, trigger: Trigger, changed: Mapping[str, ChangedAccount]) -> str | None:
    """Return why an account is in a group, `users` or `sources`, or None if it is not.

    An account of another source than that of the delivery is in none: otherwise whoever can post to one source could
    impersonate the users of all others. A changed account is in none either.
    """
    folded = fold(account)
    if folded in group.users and folded not in changed and not _foreign(account, trigger):
        return "users"
    if trigger.by_source and account == trigger.sender and trigger.source in group.sources:
        return "sources"
    return None


def sent_by_author(trigger: Trigger) -> bool:
    """Say whether the sender of a delivery wrote its text; also if one of them is missing, which is denied anyway."""
    sender, author = trigger.sender, trigger.author
    return not sender or not author or fold(sender) == fold(author)


def check_sender(
    rule: TriggerRule, trigger: Trigger, changed: Mapping[str, ChangedAccount]
) -> tuple[Check, Objection | None]:
    """Return the check of the sender against the groups of a trigger, and the objection to it.

    The sender must be in one of the groups and, where the trigger wants a command, have written the text.
    """
    sender = trigger.sender
    if sender is None or (trigger.author is None and (trigger.commands or trigger.quotes)):
        return _check(rule, CheckOutcome.FAIL, sender, rule.who[0].line, _NO_ACCOUNT), Objection(f"who: {_NO_ACCOUNT}")
    for group in rule.who:
        reason = membership(group, sender, trigger, changed)
        if reason is not None and rule.command is not None and not sent_by_author(trigger):
            remedy = Remedy(f"write the command as {sender}", rule.line)
            objection = Objection(f"who: {trigger.author} wrote the command that {sender} sent", remedy)
            return _check(rule, CheckOutcome.FAIL, sender, group.line, f"{trigger.author} wrote the command"), objection
        if reason is not None:
            return _check(rule, CheckOutcome.PASS, sender, group.line, reason), None
    change = changed.get(fold(sender))
    if change is not None and any(fold(sender) in group.users for group in rule.who):
        check = _check(rule, CheckOutcome.FAIL, change.seen, rule.who[0].line, change.reason)
        return check, Objection(f"who: {change.reason}", change.remedy)
    by_permission = [group.name for group in rule.who if group.by_permission]
    because = None
    if by_permission:
        because = f"the permission of {' and '.join(by_permission)} is not looked up by this version"
    reason = f"{sender} is in none of {', '.join(group.name for group in rule.who)}"
    if _foreign(sender, trigger):
        reason = because = f"source {trigger.source} cannot act for {sender}"
    objection = Objection(f"who: {reason}", joining_remedy(rule.who, sender, trigger, changed))
    return _check(rule, CheckOutcome.FAIL, sender, rule.who[0].line, because), objection


def joining_remedy(
    groups: Iterable[Group], account: str, trigger: Trigger, changed: Mapping[str, ChangedAccount]
) -> Remedy | None:
    """Return the remedy of adding an account to one of the groups, preferably one that lists accounts."""
    if _foreign(account, trigger):
        return Remedy(f"let source {account.partition(':')[0]} send what {account} wrote")
    candidates = list(groups)
    change = changed.get(fold(account))
    if change is not None and any(fold(account) in group.users for group in candidates):
        return change.remedy
    if trigger.by_source and account == trigger.sender:
        group = next((each for each in candidates if each.sources), candidates[0])
        return Remedy(f"add {trigger.source} to the sources of {group.name}", group.line)
    group = next((each for each in candidates if each.users), candidates[0])
    return Remedy(f"add {account} to {group.name}", group.line)


def _foreign(account: str, trigger: Trigger) -> bool:
    return fold(account.partition(":")[0]) != fold(trigger.source)


def _check(rule: TriggerRule, outcome: CheckOutcome, seen: str | None, line: int, because: str | None) -> Check:
    return Check(
        id="who",
        kind="who",
        outcome=outcome,
        line=line,
        seen=seen,
        wanted=rule.wanted_who,
        because=because,
    )
