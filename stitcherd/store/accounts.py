"""The ids of accounts: the first id seen for a login is kept until an operator accepts another one.

Which accounts are kept is decided by the caller.
"""

from collections.abc import Collection, Sequence

from shared.api import Account
from shared.ids import format_timestamp
from stitcherd.errors import Refusal
from stitcherd.policy import AccountSighting
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import chunks, fetch_all

_OWN = "own_account:"  # in meta, before the name of a source


class AccountTaken(Exception):
    """Nothing was stored: the id that is kept for an account is not the one that the delivery was decided with."""


def keep_ids(db: Db, seen: Sequence[tuple[AccountSighting, int]]) -> None:
    """Keep the ids of accounts that have none yet, and record those that differ; raises AccountTaken.

    Each sighting is given with its time in milliseconds.
    """
    kept: dict[str, str] = {}
    for part in chunks(list({each.account for each, _ in seen})):
        marks = ", ".join("?" * len(part))
        kept |= dict(db.execute(f"SELECT account, id FROM accounts WHERE account IN ({marks})", part).fetchall())
    for each, now in seen:
        if kept.get(each.account) != each.kept:
            raise AccountTaken(each.account)
        if each.kept is None:
            kept[each.account] = each.id
            source = each.account.partition(":")[0]
            db.execute(
                "INSERT INTO accounts (account, source, id, since) VALUES (?, ?, ?, ?)",
                (each.account, source, each.id, now),
            )
        elif each.id != each.kept:
            db.execute(
                "UPDATE accounts SET changed_id = ?, changed_at = ? WHERE account = ?", (each.id, now, each.account)
            )


def accept_change(db: Db, account: str, number: str | None, actor: str, workspace: str | None, now: int) -> Account:
    """Keep the other id that was seen last for an account, and record who accepted it in an event.

    Raises Refusal if the account is unknown, if no other id was seen, or if that is not `number`.
    """
    row = db.execute("SELECT * FROM accounts WHERE account = ?", (account,)).fetchone()
    if row is None:
        raise Refusal("not_found", f"no id is kept for {account!r}", "stitcher accounts ls lists the known ones")
    before, changed = row["id"], row["changed_id"]
    if changed is None:
        raise Refusal("conflict", f"no other id than {before} was seen for {account}")
    if number not in {None, changed}:
        raise Refusal("conflict", f"the other id that was seen last for {account} is {changed}, not {number}")
    db.execute(
        "UPDATE accounts SET id = ?, since = ?, accepted_by = ?, changed_id = NULL, changed_at = NULL"
        " WHERE account = ?",
        (changed, now, actor, account),
    )
    payload = {"account": account, "before": before, "id": changed}
    add_events(db, new_event("account.accepted", actor=actor, now=now, workspace=workspace, payload=payload))
    return _account(db.execute("SELECT * FROM accounts WHERE account = ?", (account,)).fetchone())


async def kept_ids(db: Reader) -> dict[str, str]:
    """Return the kept id of each account."""
    return {row["account"]: row["id"] for row in await fetch_all(db, "SELECT account, id FROM accounts", [])}


def keep_own_id(db: Db, source: str, account_id: str) -> None:
    """Keep the id of the account that acts for us at the forge of a source."""
    db.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (f"{_OWN}{source}", account_id),
    )


async def own_ids(db: Reader) -> dict[str, str]:
    """Return the ids of the accounts that act for us, by source."""
    found = await fetch_all(db, "SELECT name, value FROM meta WHERE name >= ? AND name < ?", [_OWN, f"{_OWN}~"])
    return {row["name"].removeprefix(_OWN): row["value"] for row in found}


async def list_accounts(db: Reader, sources: Collection[str] | None) -> tuple[Account, ...]:
    """Return the accounts of some sources, or of all, those with another id first."""
    found = await fetch_all(db, "SELECT * FROM accounts ORDER BY changed_id IS NULL, account", [])
    return tuple(_account(row) for row in found if sources is None or row["source"] in sources)


def _account(row: Row) -> Account:
    changed_at = row["changed_at"]
    return Account(
        account=row["account"],
        id=row["id"],
        since=format_timestamp(row["since"]),
        accepted_by=row["accepted_by"],
        changed_id=row["changed_id"],
        changed_at=None if changed_at is None else format_timestamp(changed_at),
    )
