"""What forges said a moment ago that accounts may do, in memory and in the store: decisions use it, nothing else."""

from collections.abc import Callable, Collection

from shared.ids import now_ms
from stitcherd.policy import AccountAccess
from stitcherd.store.access_levels import StoredAccess, forget_levels, read_levels, save_level
from stitcherd.store.store import Store

ACCESS_MAX_AGE = 60_000  # milliseconds for which an answer of a forge is used


class KnownAccess:
    """The access of accounts, by id, to repositories of `sources`, whose forges can be asked.

    Repository names compare without case. `now` is in milliseconds.
    """

    def __init__(self, store: Store, sources: Collection[str], now: Callable[[], int] = now_ms) -> None:
        self.sources = sources
        self._store = store
        self._now = now
        self._known: dict[tuple[str, str], dict[str, AccountAccess]] = {}
        self._forgotten: dict[str, int] = {}

    async def load(self) -> None:
        """Read what an earlier daemon has asked."""
        async with self._store.reading() as db:
            for each in await read_levels(db, self._now() - ACCESS_MAX_AGE):
                self._put(each.source, each.repository, each.account_id, AccountAccess(each.level, each.asked_at))

    def of(self, source: str, repository: str | None) -> dict[str, AccountAccess]:
        """Return the access to a repository that was asked in the last minute, by account id."""
        known = self._known.get((source, (repository or "").lower()))
        if not known:
            return {}
        now = self._now()
        return {number: access for number, access in list(known.items()) if 0 <= now - access.asked_at < ACCESS_MAX_AGE}

    def generation(self, source: str) -> int:
        """Return a number that changes when access to repositories of a source is forgotten."""
        return self._forgotten.get(source, 0)

    async def keep(self, source: str, repository: str, account_id: str, level: str, asked_at: int) -> None:
        """Keep what a forge said."""
        self._drop_old()
        self._put(source, repository, account_id, AccountAccess(level, asked_at))
        stored = StoredAccess(source, repository.lower(), account_id, level, asked_at)
        await self._store.write(save_level, stored, self._now() - ACCESS_MAX_AGE)

    async def forget(self, source: str, repository: str | None) -> None:
        """Forget what is known of a repository of a source, or of all: somebody may have been given or lost access."""
        self._forgotten[source] = self.generation(source) + 1
        for key in list(self._known):
            if key[0] == source and (repository is None or key[1] == repository.lower()):
                del self._known[key]
        await self._store.write(forget_levels, source, repository and repository.lower())

    def _put(self, source: str, repository: str, account_id: str, access: AccountAccess) -> None:
        self._known.setdefault((source, repository.lower()), {})[account_id] = access

    def _drop_old(self) -> None:
        for key in list(self._known):
            fresh = self.of(*key)
            if fresh:
                self._known[key] = fresh
            else:
                del self._known[key]
