"""Decides who is in which group: a member, not a member, or unknown until the forge is asked for a permission."""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from shared.ids import format_timestamp
from shared.models import Remedy
from stitcherd.policy import ACCESS_RANKS, AccountAccess
from stitcherd.rails.accounts import ChangedAccount
from stitcherd.rails.compiled import Group
from stitcherd.rails.globs import fold
from stitcherd.rails.verdicts import NeedsPermissions
from stitcherd.sources.trigger import Trigger


class Membership(Struct, frozen=True, gc=False):
    """Whether an account is in a group, None if that is unknown, and by what it is: users, sources or permission."""

    member: bool | None
    by: str | None = None


BY_USERS = Membership(True, "users")
BY_SOURCES = Membership(True, "sources")
BY_PERMISSION = Membership(True, "permission")
NOT_A_MEMBER = Membership(False)
UNKNOWN = Membership(None)


class People(Struct, frozen=True):
    """The accounts of a delivery: which are not who the rails mean, and what they may do on its repository.

    `changed` is by account as it is compared, `access` by id. `cannot_ask` is why the forge cannot be asked, None where
    it can.
    """

    trigger: Trigger
    changed: Mapping[str, ChangedAccount] = {}
    access: Mapping[str, AccountAccess] = {}
    cannot_ask: str | None = None

    def account_id(self, account: str) -> str | None:
        """Return the one id that the delivery gives for an account."""
        ids = self.trigger.account_ids.get(fold(account), ())
        return ids[0] if len(ids) == 1 else None

    def access_of(self, account: str) -> AccountAccess | None:
        """Return what is known of an account's access to the repository."""
        number = self.account_id(account)
        return None if number is None else self.access.get(number)


def membership(group: Group, account: str, people: People) -> Membership:
    """Return whether an account is in a group.

    An account of another source than that of the delivery is in none: otherwise whoever can post to one source could
    impersonate the users of all others. A changed account is in none either.
    """
    folded, trigger = fold(account), people.trigger
    if folded in group.users and _is_own(account, people):
        return BY_USERS
    if trigger.by_source and account == trigger.sender and trigger.source in group.sources:
        return BY_SOURCES
    if group.permission is not None and _is_own(account, people):
        return _by_permission(group.permission, account, people)
    return NOT_A_MEMBER


def membership_of_any(groups: Iterable[Group], account: str, people: People) -> tuple[Membership, Group | None]:
    """Return whether an account is in any of the groups, and in which one."""
    found = NOT_A_MEMBER
    for group in groups:
        each = membership(group, account, people)
        if each.member:
            return each, group
        if each.member is None:
            found = each
    return found, None


def describe_account(account: str, people: People) -> str:
    """Return an account as checks show it: with its id and its permission where that was asked."""
    access = people.access_of(account)
    if access is None:
        return account
    known = access.failure or f"has {access.level}"
    number = f"#{people.account_id(account)}"
    shown = account if account.endswith(f":{number}") else account + number  # of some, only the id is known
    return f"{shown} {known} (asked {format_timestamp(access.asked_at)[11:]})"


def needed_permissions(accounts: Iterable[str], people: People) -> NeedsPermissions:
    """Return what must be asked to know in which groups accounts are."""
    asks = {number: account for account in accounts if (number := people.account_id(account)) is not None}
    trigger = people.trigger
    reason = f"asking {trigger.source} for the permission of {' and '.join(asks.values())} on {trigger.repository}"
    return NeedsPermissions(asks, reason)


def why_not_asked(groups: Iterable[Group], account: str, people: People) -> str | None:
    """Return why the permission that some of the groups ask for cannot be looked up, None where it was or can be."""
    names = [group.name for group in groups if group.permission is not None]
    if not names or people.access_of(account) is not None:
        return None
    reason = people.cannot_ask
    if reason is None and people.account_id(account) is None:
        reason = f"the delivery gives no id of {account}"
    return None if reason is None else f"the permission of {' and '.join(names)} cannot be looked up: {reason}"


def joining_remedy(groups: Iterable[Group], account: str, people: People) -> Remedy | None:
    """Return the remedy of adding an account to one of the groups, preferably one that lists accounts."""
    trigger = people.trigger
    if is_foreign(account, trigger):
        return Remedy(f"let source {account.partition(':')[0]} send what {account} wrote")
    candidates = list(groups)
    change = people.changed.get(fold(account))
    if change is not None and any(fold(account) in group.users for group in candidates):
        return change.remedy
    if trigger.by_source and account == trigger.sender:
        group = next((each for each in candidates if each.sources), candidates[0])
        return Remedy(f"add {trigger.source} to the sources of {group.name}", group.line)
    group = next((each for each in candidates if each.users), candidates[0])
    return Remedy(f"add {account} to {group.name}", group.line)


def is_foreign(account: str, trigger: Trigger) -> bool:
    """Say whether an account belongs to another source than that of the delivery."""
    return fold(account.partition(":")[0]) != fold(trigger.source)


def _is_own(account: str, people: People) -> bool:
    return fold(account) not in people.changed and not is_foreign(account, people.trigger)


def _by_permission(wanted: str, account: str, people: People) -> Membership:
    access = people.access_of(account)
    if access is not None:
        reached = access.level is not None and ACCESS_RANKS[access.level] >= ACCESS_RANKS[wanted]
        return BY_PERMISSION if reached else NOT_A_MEMBER
    can_be_asked = people.cannot_ask is None and people.account_id(account) is not None
    return UNKNOWN if can_be_asked else NOT_A_MEMBER
