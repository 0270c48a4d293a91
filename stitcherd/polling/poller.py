"""Reads the lists of one source's forge and gives what is new to the intake.

The position in a list is stored after all that is new in it: what a crash leaves in between is read again, and its
subject makes it a duplicate.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeVar

import msgspec
from msgspec.structs import replace
from multidict import CIMultiDict

from shared.deliveries import Via, WebhookResponse
from shared.ids import now_ms
from stitcherd.config.settings import SourceSettings
from stitcherd.errors import Refusal
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import Call, Feed, FeedEvent, FeedItem, FeedPage
from stitcherd.forges.models import RepositoryRef
from stitcherd.forges.outcome import Done, Hold, Rejected, RetryAt
from stitcherd.forges.paths import InvalidReference
from stitcherd.polling.position import OVERLAP, Position, decode_position, encode_position, first_position
from stitcherd.polling.repositories import Listing, PolledRepositories, decode_listing, encode_listing
from stitcherd.store.cursors import Cursor, read_cursors, save_cursor
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

PAGES_MAX = 50  # of one list, at once
INTERVAL_MAX_SECONDS = 3600  # of what a forge asks for
REFUSED_SECONDS = 300.0  # until a list is asked for again that the forge refused
LIST_SECONDS = 600.0  # between two listings of the repositories
REPOSITORIES = "repositories"  # the cursor of the listing
STORE_RETRY_SECONDS = 5.0  # while nothing can be stored

log = logging.getLogger(__name__)

Take = Callable[[SourceSettings, Mapping[str, str], bytes, str | None, Via], Awaitable[WebhookResponse]]
Value = TypeVar("Value")


class CannotPoll(Exception):
    """A list cannot be read now; it is to be read again at `until` (ms)."""

    def __init__(self, reason: str, until: int) -> None:
        super().__init__(reason)
        self.until = until


class Gone(CannotPoll):
    """What is asked for does not exist: a thread may have been deleted meanwhile."""


class Poller:
    """Polls the repositories of one source; `take` is that of the intake, and `now` is in milliseconds.

    `via` is how its events are told to have arrived.
    """

    def __init__(
        self,
        store: Store,
        source: SourceSettings,
        api: ForgeApi,
        repositories: PolledRepositories,
        take: Take,
        now: Callable[[], int] = now_ms,
        via: Via = Via.PULL,
    ) -> None:
        self._store = store
        self._source = source
        self._api = api
        self._repositories = repositories
        self._take = take
        self._now = now
        self._via = via
        self._interval = int((source.pull or 0) * 1000)
        self._found: tuple[str, ...] = ()  # by the patterns
        self._listed = False
        self._faults: dict[str, tuple[str, int]] = {}

    @property
    def fault(self) -> tuple[str, int] | None:
        """Why a list cannot be read, and since when (ms); None if all can."""
        return min(self._faults.values(), key=lambda fault: fault[1], default=None)

    async def run(self) -> None:
        """Poll for ever."""
        while True:
            try:
                wait = await self.poll() - self._now()
            except StorageUnavailable:  # the store logs it
                wait = int(STORE_RETRY_SECONDS * 1000)
            await asyncio.sleep(max(wait, 1000) / 1000)

    async def poll(self) -> int:
        """Read each list that is due; return the time (ms) at which the next one is. Raises StorageUnavailable."""
        async with self._store.reading() as db:
            cursors = await read_cursors(db, self._source.name)
        due = [self._now() + self._interval]
        if self._repositories.patterns:
            due.append(await self._renew(cursors))
        for feed in self._feeds():
            cursor = cursors.get(feed.name) or Cursor(source=self._source.name, name=feed.name)
            if cursor.next_at <= self._now():
                cursor = await self._read(feed, cursor)
                await self._store.write(save_cursor, cursor)
            due.append(cursor.next_at)
        return min(due)

    async def read_since(self, since: int, names: Collection[str] | None = None) -> set[str]:
        """Take what happened since a time (ms), of all lists or of those with these names and of new repositories.

        Return the names of the lists that could not be read. Raises StorageUnavailable.
        """
        position, unread = encode_position(first_position(since)), set[str]()
        known = {feed.name for feed in self._feeds()}
        if self._repositories.patterns and (names is None or REPOSITORIES in names):
            try:
                self._found = await self._list_repositories()
            except CannotPoll as error:
                self._note(REPOSITORIES, str(error))
                unread.add(REPOSITORIES)
        for feed in self._feeds():
            if names is None or feed.name in names or feed.name not in known:
                read = await self._read(feed, Cursor(source=self._source.name, name=feed.name, value=position))
                if read.error is not None:
                    unread.add(feed.name)
        return unread

    async def _renew(self, cursors: dict[str, Cursor]) -> int:
        """List the repositories if that is due; return the time (ms) at which it is due again.

        In a repository that is new among them, what happened since the last listing is new. The cursor of the listing
        is stored after those of their lists.
        """
        cursor = cursors.get(REPOSITORIES) or Cursor(source=self._source.name, name=REPOSITORIES)
        last = decode_listing(cursor.value)
        if not self._listed:
            self._found = self._repositories.select(last.names)
        now = self._now()
        if self._listed and cursor.next_at > now:
            return cursor.next_at
        try:
            found = await self._list_repositories()
        except CannotPoll as error:
            self._note(REPOSITORIES, str(error))
            cursor = replace(cursor, next_at=max(error.until, now + 1000), error=str(error))
        else:
            patterns = self._repositories.patterns
            began = cursor.at if patterns == last.patterns else now
            start = encode_position(first_position(began))
            for feed in self._feeds_of(name for name in found if name not in last.names):
                cursors[feed.name] = Cursor(source=self._source.name, name=feed.name, value=start)
                await self._store.write(save_cursor, cursors[feed.name])
            for feed in self._feeds_of(name for name in self._found if name not in found):
                self._faults.pop(feed.name, None)
            self._note(REPOSITORIES, None)
            self._found = found
            value = encode_listing(Listing(patterns, found))
            cursor = replace(cursor, value=value, next_at=now + int(LIST_SECONDS * 1000), error=None, at=now)
        self._listed = True
        await self._store.write(save_cursor, cursor)
        return cursor.next_at

    async def _list_repositories(self) -> tuple[str, ...]:
        """Return the repositories that the patterns select. Raises CannotPoll."""
        listed, page = list[str](), 1
        for _ in range(PAGES_MAX):
            read = await self._perform(self._api.forge.list_repositories(page))
            listed += read.names
            if read.next_page is None:
                break
            page = read.next_page
        else:
            log.warning("source %s: only the first %d repositories are listed", self._source.name, len(listed))
        return self._repositories.select(listed)

    def _feeds(self) -> list[Feed]:
        return list(self._feeds_of((*self._repositories.named, *self._found)))

    def _feeds_of(self, names: Iterable[str]) -> Iterator[Feed]:
        for name in names:
            try:
                yield from self._api.forge.feeds(RepositoryRef(name))
            except InvalidReference as error:
                self._note(name, str(error))

    async def _read(self, feed: Feed, cursor: Cursor) -> Cursor:
        """Take what is new in a list, and return the cursor after it."""
        now = self._now()
        position = _position_of(cursor, now)
        try:
            read = await self._read_pages(feed, position, cursor.etag)
            if read.items is not None:
                items = [*read.items, *await self._read_inner(read.items, position)]
                for item in sorted(filter(position.is_new, items), key=lambda item: (item.created_at, item.id)):
                    await self._take_item(item)
                position = position.after(items)
        except CannotPoll as error:
            self._note(feed.name, str(error))
            kept = encode_position(position)
            return replace(cursor, value=kept, next_at=max(error.until, now + 1000), error=str(error), at=now)
        self._note(feed.name, None)
        # What was done to an item may become visible after the change of the item, which then is as the ETag says.
        settled = all(not item.feeds or item.updated_at < now - OVERLAP for item in read.items or ())
        etag = read.etag if settled else None
        next_at = now + max(self._interval, min(read.interval, INTERVAL_MAX_SECONDS) * 1000)
        return replace(cursor, value=encode_position(position), etag=etag, next_at=next_at, error=None, at=now)

    async def _read_pages(self, feed: Feed, position: Position, etag: str | None) -> FeedPage:
        """Return the items of a list since a position, as one page. Raises CannotPoll."""
        first = page = await self._perform(feed.list(position.asked_since, 1, etag))
        if first.items is None:
            return first
        found = list(first.items)
        past = feed.newest_first and any(item.updated_at < position.asked_since for item in found)
        for _ in range(PAGES_MAX - 1):
            if page.next_page is None or past:
                break
            page = await self._perform(feed.list(position.asked_since, page.next_page, None))
            found += page.items or ()
            past = feed.newest_first and any(item.updated_at < position.asked_since for item in found)
        if page.next_page is not None and feed.newest_first and not past:
            log.warning("source %s: of %s, only the newest %d are read", self._source.name, feed.name, len(found))
        # Of a list with its newest items on the last page, a full first page does not tell whether there are more.
        tells_all = feed.newest_first or len(first.items) == len(found) < feed.page_size
        return FeedPage(tuple(found), None, first.etag if tells_all else None, first.interval)

    async def _read_inner(self, items: Iterable[FeedItem], position: Position) -> list[FeedItem]:
        """Return what the lists of the items have since a position, and the lists of those. Raises CannotPoll."""
        found = list[FeedItem]()
        for feed in (inner for item in items for inner in item.feeds):
            try:
                inner_items = (await self._read_pages(feed, position, None)).items or ()
            except Gone as gone:
                log.warning("source %s: %s is gone: %s", self._source.name, feed.name, gone)
            else:
                found += [*inner_items, *await self._read_inner(inner_items, position)]
        return found

    async def _take_item(self, item: FeedItem) -> None:
        """Give an item to the intake; raises CannotPoll and StorageUnavailable."""
        event = item.event
        if isinstance(event, Call):
            event = await self._complete(event)
        if event is None:
            return
        body = msgspec.json.encode(event.body)
        try:
            await self._take(self._source, CIMultiDict(event.headers), body, None, self._via)
        except Refusal as refusal:
            log.warning("source %s: an event of its forge cannot be read: %s", self._source.name, refusal)

    async def _complete(self, call: Call[FeedEvent]) -> FeedEvent | None:
        try:
            return await self._perform(call)
        except Gone as gone:
            log.warning("source %s: %s is gone: %s", self._source.name, call.request.path, gone)
            return None

    async def _perform(self, call: Call[Value]) -> Value:
        return self._value(await self._api.perform(call))

    def _value(self, outcome: Done[Value] | RetryAt | Hold | Rejected) -> Value:
        match outcome:
            case Done(value):
                return value
            case RetryAt(at, reason):
                raise CannotPoll(reason, at)
            case Hold(until, reason):
                raise CannotPoll(reason, until)
        hint = f": {outcome.hint}" if outcome.hint else ""
        raise (Gone if outcome.code == "gone" else CannotPoll)(
            f"{outcome.detail}{hint}", self._now() + int(REFUSED_SECONDS * 1000)
        )

    def _note(self, name: str, fault: str | None) -> None:
        """Keep why a list cannot be read, and log what is new in that."""
        known = self._faults.get(name)
        if fault is None:
            if self._faults.pop(name, None) is not None:
                log.info("source %s: %s can be read again", self._source.name, name)
        elif known is None or known[0] != fault:
            log.warning("source %s: %s cannot be read: %s", self._source.name, name, fault)
            self._faults[name] = (fault, known[1] if known else self._now())


def _position_of(cursor: Cursor, now: int) -> Position:
    return first_position(now) if cursor.value is None else decode_position(cursor.value)
