"""Tells whether the accounts of a delivery are those that the rails mean: a login may pass to another account."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from shared.models import Remedy
from stitcherd.policy import AccountSighting
from stitcherd.rails.globs import fold
from stitcherd.sources.trigger import Trigger

ACCOUNT_CHANGED = "account_changed"


class KnownAccount(Struct, frozen=True):
    """An account that the rails name, at `line`; `id` is the one that they bind its login to, None for a bare login."""

    id: str | None
    line: int


class ChangedAccount(Struct, frozen=True):
    """An account that has no rights although the rails name its login; `seen` is the login with its ids."""

    seen: str
    reason: str
    remedy: Remedy | None


def split_account(text: str) -> tuple[str, str | None]:
    """Return an account as it is compared, and its id if `text` is `source:login#id`."""
    account, _, number = text.partition("#")
    return fold(account), number or None


def known_accounts(users: Iterable[tuple[str, int]]) -> dict[str, KnownAccount]:
    """Return what the rails say about each account; `users` are the members of all groups with their lines.

    A login that is bound to an id in one group is bound in all.
    """
    known: dict[str, KnownAccount] = {}
    for text, line in users:
        account, number = split_account(text)
        if account not in known or known[account].id is None:
            known[account] = KnownAccount(number, line)
    return known


def changed_accounts(
    trigger: Trigger, known: Mapping[str, KnownAccount], kept: Mapping[str, str]
) -> dict[str, ChangedAccount]:
    """Return the accounts of a delivery, as they are compared, whose ids are not those that the rails bind or we keep.

    An account that the rails bind is one of them also where the delivery does not give its id.
    """
    changed: dict[str, ChangedAccount] = {}
    for account in _accounts(trigger):
        rule = known.get(account)
        if rule is None:
            continue
        ids, expected = trigger.account_ids.get(account, ()), rule.id or kept.get(account)
        if _has_changed(rule, ids, expected):
            changed[account] = _change(account, ids, rule, expected)
    return changed


def is_account(account: str, number: str | None, known: Mapping[str, KnownAccount], kept: Mapping[str, str]) -> bool:
    """Say whether an account with this id, None where it was not given, is the one that the rails mean by its login."""
    rule = known.get(fold(account))
    ids = () if number is None else (number,)
    return rule is not None and not _has_changed(rule, ids, rule.id or kept.get(fold(account)))


def sightings(
    trigger: Trigger, known: Mapping[str, KnownAccount], kept: Mapping[str, str]
) -> tuple[AccountSighting, ...]:
    """Return the ids to keep, or to compare with those that are kept, when a delivery is stored.

    Only accounts that the rails name without an id are kept, so that strangers cannot fill the store.
    """
    found = []
    for account, ids in trigger.account_ids.items():
        rule, expected = known.get(account), kept.get(account)
        if rule is None or rule.id is not None:
            continue
        others = [number for number in ids if number != expected]
        if len(ids) == 1 or (others and expected is not None):
            found.append(AccountSighting(account, others[0] if others else ids[0], expected))
    return tuple(found)


def _accounts(trigger: Trigger) -> set[str]:
    written_by = trigger.thread.author if trigger.thread else None
    accounts = {trigger.sender, trigger.author, written_by, *(quote.author for quote in trigger.quotes)}
    return {fold(account) for account in accounts if account}


def _has_changed(rule: KnownAccount, ids: tuple[str, ...], expected: str | None) -> bool:
    return len(ids) > 1 or bool(ids and expected and ids[0] != expected) or bool(rule.id and not ids)


def _change(account: str, ids: tuple[str, ...], rule: KnownAccount, expected: str | None) -> ChangedAccount:
    seen = f"{account}#{' and #'.join(ids)}" if ids else account
    if len(ids) > 1:
        return ChangedAccount(seen, f"{ACCOUNT_CHANGED}: several accounts have the login {account}", None)
    if not ids:
        reason = f"{ACCOUNT_CHANGED}: the rails name {account}#{rule.id}, and the delivery gives no id of {account}"
        return ChangedAccount(seen, reason, Remedy(f"write {account} without an id", rule.line))
    if rule.id is not None:
        reason = f"{ACCOUNT_CHANGED}: {account} has the id {ids[0]}, and the rails name {account}#{rule.id}"
        return ChangedAccount(seen, reason, Remedy(f"write {seen} if it is the same person", rule.line))
    reason = f"{ACCOUNT_CHANGED}: {account} has the id {ids[0]}, and {expected} is kept for this login"
    return ChangedAccount(seen, reason, Remedy(f"run stitcher accounts accept {seen} if it is the same person"))
