"""What a source with webhooks missed while the daemon was away: read once at the start from the lists of its forge.

While the daemon runs, it stores once a minute that it does. What happened since shortly before then is taken from the
lists; what a webhook has reported, or reports again later, is the same event by its subject.
"""

import asyncio
import logging
from collections.abc import Callable

from shared.ids import format_timestamp, now_ms
from stitcherd.polling.poller import Poller
from stitcherd.polling.position import OVERLAP
from stitcherd.store.cursors import Cursor, read_cursors, save_cursors
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.store import Store

MARK_SECONDS = 60.0
OLDEST_MS = 3 * 24 * 3_600_000  # what happened before that is not worth a job any more
READS_MAX = 30  # of a list that cannot be read: for an hour
READ_AGAIN_SECONDS = 120.0
_MARK = "running"  # the cursor whose time is when the daemon was last known to run

log = logging.getLogger(__name__)


class CatchUp:
    """Lets a poller, whose `via` is catch-up, read what one source has missed; `now` is in milliseconds."""

    def __init__(self, store: Store, source: str, poller: Poller, now: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._source = source
        self._poller = poller
        self._now = now

    async def run(self) -> None:
        """Take what was missed, then store for ever that the daemon runs."""
        await self.take_missed()
        while True:
            await self.mark()
            await asyncio.sleep(MARK_SECONDS)

    async def take_missed(self) -> None:
        """Take what happened since the daemon was last known to run; nothing where it never was."""
        async with self._store.reading() as db:
            mark = (await read_cursors(db, self._source)).get(_MARK)
        if mark is None:
            return
        # The webhook of what happened shortly before may have found no daemon: it is sent after its event.
        since, unread = max(mark.at - OVERLAP, self._now() - OLDEST_MS), set[str]()
        for number in range(READS_MAX):
            if number:
                await asyncio.sleep(READ_AGAIN_SECONDS)
            try:
                unread = await self._poller.read_since(since, unread or None)
            except StorageUnavailable:  # the store logs it, and what was taken before is a duplicate
                continue
            if not unread:
                return
        missed = f"what happened since {format_timestamp(since)} is not taken"
        log.warning("source %s: %s: %s cannot be read", self._source, missed, ", ".join(sorted(unread)))

    async def mark(self) -> None:
        """Store that the daemon runs."""
        try:
            await self._store.write(save_cursors, Cursor(source=self._source, name=_MARK, at=self._now()))
        except StorageUnavailable:  # the store logs it, and the next mark comes soon
            log.debug("source %s: the mark cannot be stored", self._source)
