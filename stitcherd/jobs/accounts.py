"""The ids of accounts in memory, so that decisions need not read them: those that are kept, and our own."""

from typing import Self

from stitcherd.policy import AccountSighting
from stitcherd.store import accounts
from stitcherd.store.store import Store


class KeptAccounts:
    """The id kept for each account, and by source the id of the account that acts for us.

    `ids` and `own` are the same mappings for the whole time, updated in place.
    """

    def __init__(self, store: Store) -> None:
        self.ids: dict[str, str] = {}
        self.own: dict[str, str] = {}
        self._store = store

    @classmethod
    async def open(cls, store: Store) -> Self:
        """Return the accounts with what is stored of them."""
        accounts = cls(store)
        await accounts.load()
        return accounts

    async def refresh(self, seen: tuple[AccountSighting, ...]) -> None:
        """Read the ids again after a delivery was stored that gave the first id of an account."""
        if any(each.kept is None for each in seen):
            await self.load()

    async def load(self) -> None:
        """Read the ids again: at the start, and whenever they have changed."""
        async with self._store.reading() as db:
            found = await accounts.kept_ids(db)
            own = await accounts.own_ids(db)
        self.ids.clear()
        self.ids.update(found)
        self.own.update(own)

    async def keep_own(self, source: str, account_id: str) -> None:
        """Keep the id of the account that acts for us at the forge of a source."""
        if self.own.get(source) != account_id:
            self.own[source] = account_id
            await self._store.write(accounts.keep_own_id, source, account_id)
