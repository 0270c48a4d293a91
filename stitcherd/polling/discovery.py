"""Finds the repositories of a source's patterns in what its forge lists, again every ten minutes."""

import logging
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from stitcherd.forges.base import Feed
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.paths import InvalidReference
from stitcherd.polling.forge_reader import CannotPoll, ForgeReader
from stitcherd.polling.position import encode_position, first_position
from stitcherd.polling.repositories import PolledRepositories
from stitcherd.store.cursors import Cursor

PAGES_MAX = 50  # of one listing
LIST_SECONDS = 600.0  # between two listings
LISTING = "repositories"  # the cursor of the listing, and its name in faults

log = logging.getLogger(__name__)


class Listing(Struct, frozen=True):
    """What was found by which patterns, when the repositories were listed the last time."""

    patterns: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Discovery:
    """The repositories that one source is asked about, and their lists."""

    def __init__(self, reader: ForgeReader, repositories: PolledRepositories) -> None:
        self._reader = reader
        self._repositories = repositories
        self._found: tuple[str, ...] = ()  # by the patterns
        self._listed = False  # since the start

    @property
    def has_patterns(self) -> bool:
        """Whether any repository has to be found."""
        return bool(self._repositories.patterns)

    def feeds(self) -> list[Feed]:
        """Return the lists of all known repositories."""
        return list(self._feeds_of((*self._repositories.named, *self._found)))

    async def find(self) -> None:
        """List the repositories. Raises CannotPoll."""
        listed, page = list[str](), 1
        for _ in range(PAGES_MAX):
            read = await self._reader.perform(self._reader.forge.list_repositories(page))
            listed += read.names
            if read.next_page is None:
                break
            page = read.next_page
        else:
            log.warning("source %s: only the first %d repositories are listed", self._reader.source, len(listed))
        self._found = self._repositories.select(listed)

    async def renew(self, cursors: Mapping[str, Cursor]) -> list[Cursor]:
        """List the repositories if that is due; return the cursors to be stored: of the listing, and of new lists.

        In a repository that is new among them, what happened since the last listing is new.
        """
        source, now = self._reader.source, self._reader.now()
        cursor = cursors.get(LISTING) or Cursor(source=source, name=LISTING)
        last = Listing() if cursor.value is None else msgspec.json.decode(cursor.value, type=Listing)
        if not self._listed:
            self._found = self._repositories.select(last.names)
        elif cursor.next_at > now:
            return []
        known, self._listed = self._found, True
        try:
            await self.find()
        except CannotPoll as error:
            self._reader.note(LISTING, str(error))
            return [replace(cursor, next_at=max(error.until, now + 1000), error=str(error))]
        self._reader.note(LISTING, None)
        for feed in self._feeds_of(name for name in known if name not in self._found):
            self._reader.forget(feed.name)
        patterns = self._repositories.patterns
        start = encode_position(first_position(cursor.at if patterns == last.patterns else now))
        new = self._feeds_of(name for name in self._found if name not in last.names)
        value = msgspec.json.encode(Listing(patterns, self._found)).decode()
        return [
            *(Cursor(source=source, name=feed.name, value=start) for feed in new),
            replace(cursor, value=value, next_at=now + int(LIST_SECONDS * 1000), error=None, at=now),
        ]

    def _feeds_of(self, names: Iterable[str]) -> Iterator[Feed]:
        for name in names:
            try:
                yield from self._reader.forge.feeds(RepositoryRef(name))
            except InvalidReference as error:
                self._reader.note(name, str(error))
