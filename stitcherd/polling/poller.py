"""Reads the lists of one source's forge and gives what is new to the intake.

The position in a list is stored after all that is new in it: what a crash leaves in between is read again, and its
subject makes it a duplicate.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
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
from stitcherd.metrics import count_delivery
from stitcherd.polling.discovery import LISTING, Discovery
from stitcherd.polling.forge_reader import CannotPoll, ForgeReader, Gone
from stitcherd.polling.position import OVERLAP, Position, decode_position, encode_position, first_position
from stitcherd.polling.repositories import PolledRepositories
from stitcherd.store.cursors import Cursor, read_cursors, save_cursors
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

PAGES_MAX = 50  # of one list, at once
INTERVAL_MAX_SECONDS = 3600  # of what a forge asks for
STORE_RETRY_SECONDS = 5.0  # while nothing can be stored

log = logging.getLogger(__name__)

Take = Callable[[SourceSettings, Mapping[str, str], bytes, str | None, Via], Awaitable[WebhookResponse]]
Value = TypeVar("Value")


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
        self._reader = ForgeReader(source.name, api, now)
        self._discovery = Discovery(self._reader, repositories)
        self._take = take
        self._now = now
        self._via = via
        self._interval = int((source.pull or 0) * 1000)
        self._has_polled = False

    @property
    def fault(self) -> tuple[str, int] | None:
        """Why a list cannot be read, and since when (ms); None if all can."""
        return self._reader.fault

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
        if not self._has_polled:  # why an earlier daemon could not read a list may have been in the settings
            cursors = {name: replace(each, next_at=0) if each.error else each for name, each in cursors.items()}
            self._has_polled = True
        due = [self._now() + self._interval]
        if self._discovery.has_patterns:
            if found := await self._discovery.renew(cursors):
                await self._store.write(save_cursors, *found)
                cursors |= {each.name: each for each in found}
            due.append(cursors[LISTING].next_at)
        for feed in self._discovery.feeds():
            cursor = cursors.get(feed.name) or Cursor(source=self._source.name, name=feed.name)
            if cursor.next_at <= self._now():
                cursor = await self._read(feed, cursor)
                await self._store.write(save_cursors, cursor)
            due.append(cursor.next_at)
        return min(due)

    async def read_since(self, since: int, names: Collection[str] | None = None) -> set[str]:
        """Take what happened since a time (ms), of all lists or of those with these names and of new repositories.

        Return the names of the lists that could not be read. Raises StorageUnavailable.
        """
        position, unread = encode_position(first_position(since)), set[str]()
        known = {feed.name for feed in self._discovery.feeds()}
        if self._discovery.has_patterns and (names is None or LISTING in names):
            try:
                await self._discovery.find()
            except CannotPoll as error:
                self._reader.note(LISTING, str(error))
                unread.add(LISTING)
        for feed in self._discovery.feeds():
            if names is None or feed.name in names or feed.name not in known:
                read = await self._read(feed, Cursor(source=self._source.name, name=feed.name, value=position))
                if read.error is not None:
                    unread.add(feed.name)
        return unread

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
            self._reader.note(feed.name, str(error))
            kept = encode_position(position)
            return replace(cursor, value=kept, next_at=max(error.until, now + 1000), error=str(error), at=now)
        self._reader.note(feed.name, None)
        # What was done to an item may become visible after the change of the item, which then is as the ETag says.
        settled = all(not item.feeds or item.updated_at < now - OVERLAP for item in read.items or ())
        etag = read.etag if settled else None
        next_at = now + max(self._interval, min(read.interval, INTERVAL_MAX_SECONDS) * 1000)
        return replace(cursor, value=encode_position(position), etag=etag, next_at=next_at, error=None, at=now)

    async def _read_pages(self, feed: Feed, position: Position, etag: str | None) -> FeedPage:
        """Return the items of a list since a position, as one page. Raises CannotPoll."""
        first = page = await self._reader.perform(feed.list(position.asked_since, 1, etag))
        if first.items is None:
            return first
        found = list(first.items)
        past = feed.newest_first and any(item.updated_at < position.asked_since for item in found)
        for _ in range(PAGES_MAX - 1):
            if page.next_page is None or past:
                break
            page = await self._reader.perform(feed.list(position.asked_since, page.next_page, None))
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
            result = await self._take(self._source, CIMultiDict(event.headers), body, None, self._via)
            count_delivery(self._source.name, result.verdict)
        except Refusal as refusal:
            log.warning("source %s: an event of its forge cannot be read: %s", self._source.name, refusal)

    async def _complete(self, call: Call[FeedEvent]) -> FeedEvent | None:
        try:
            return await self._reader.perform(call)
        except Gone as gone:
            log.warning("source %s: %s is gone: %s", self._source.name, call.request.path, gone)
            return None


def _position_of(cursor: Cursor, now: int) -> Position:
    return first_position(now) if cursor.value is None else decode_position(cursor.value)
