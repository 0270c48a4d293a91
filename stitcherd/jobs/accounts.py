"""The ids that are kept for accounts, in memory, so that decisions need not read them."""

from stitcherd.policy import AccountSighting
from stitcherd.store import accounts
from stitcherd.store.sqlite import Store


class KeptAccounts:
    """The id kept for each account; `ids` is one mapping for the whole time, updated in place."""

    def __init__(self, store: Store) -> None:
        self.ids: dict[str, str] = {}
        self._store = store

    async def refresh(self, seen: tuple[AccountSighting, ...]) -> None:
        """Read the ids again after a delivery was stored that gave the first id of an account."""
        if any(each.kept is None for each in seen):
            await self.load()

    async def load(self) -> None:
        """Read the ids again: at the start, and whenever they have changed."""
        async with self._store.reading() as db:
            found = await accounts.kept_ids(db)
        self.ids.clear()
        self.ids.update(found)
