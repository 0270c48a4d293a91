"""Follows the daemon in a thread of its own: a snapshot, every event after it, and the state of the connection.

It does not depend on the screens, so that it can start while they are imported.
"""

import threading
from collections.abc import Callable, Iterator

from msgspec import Struct

from shared.api import JobPage, Meta
from shared.backoff import DELAYS, backoff_delays
from shared.models import JobEvent
from tui.client import api
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse
from tui.client.stream import STREAM_TIMEOUT, open_stream, reconnecting

FIRST_PAGE = 200  # jobs of the snapshot
MAX_PENDING = 20_000  # events that nobody has taken yet; beyond that the stream is not read
GONE = 410


class Snapshot(Struct, frozen=True):
    """A fresh start, which voids all earlier items: the daemon's identity and its newest jobs."""

    meta: Meta
    page: JobPage


class Resumed(Struct, frozen=True):
    """The daemon is reachable again, and no event was missed."""

    meta: Meta


class EventBatch(Struct, frozen=True):
    """Events in their order."""

    events: list[JobEvent]


class ConnectionLost(Struct, frozen=True):
    """The daemon is not reachable; attempt number `attempt` + 1 follows in `pause` seconds."""

    reason: str
    attempt: int
    pause: float


FeedItem = Snapshot | Resumed | EventBatch | ConnectionLost


class FeedReader:
    """Follows one daemon until it is stopped; a listener is notified and then takes the items."""

    def __init__(
        self, client: DaemonClient, *, timeout: float = STREAM_TIMEOUT, delays: tuple[float, ...] = DELAYS
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._delays = delays
        self._items: list[FeedItem] = []
        self._pending = 0  # events among the items
        self._changed = threading.Condition()
        self._notify: Callable[[], object] | None = None
        self._stopped = False
        self._reconnect_now = False
        self._instance: str | None = None
        self._cursor: int | None = None

    def start(self) -> None:
        """Start the thread, which ends with the process at the latest."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def listen(self, notify: Callable[[], object]) -> None:
        """Call `notify`, from the feed's thread, whenever there are items and there were none."""
        with self._changed:
            self._notify = notify
            if self._items:
                notify()

    def take(self) -> list[FeedItem]:
        """Return and remove the items since the last call, in their order."""
        with self._changed:
            items, self._items, self._pending = self._items, [], 0
            self._changed.notify_all()
        return items

    def reconnect_now(self) -> None:
        """Attempt to reach a lost daemon without further delay."""
        with self._changed:
            self._reconnect_now = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Notify no more and end the thread, except for a read that blocks."""
        with self._changed:
            self._stopped = True
            self._notify = None
            self._changed.notify_all()

    def _run(self) -> None:
        batches = reconnecting(
            self._batches,
            lambda reason, failures, pause: self._add(ConnectionLost(reason, failures, pause)),
            errors=(ApiError, DaemonUnreachable, InvalidResponse),
            delays=lambda: backoff_delays(self._delays),
            wait=self._wait,
        )
        for events in batches:
            self._add_events(events)
            if self._stopped:
                return

    def _batches(self) -> Iterator[list[JobEvent]]:
        """Resume the stream, or start afresh if it cannot be resumed."""
        self._announce()
        try:
            with open_stream(self._client, self._cursor, timeout=self._timeout) as stream:
                for events in stream.batches():
                    yield events
                    self._cursor = stream.cursor
        except ApiError as error:
            if error.problem.status != GONE:
                raise
            self._cursor = None  # an event after it was pruned
            yield from self._batches()

    def _announce(self) -> None:
        """Add a Resumed, or a Snapshot if the database is another one or the cursor is void."""
        meta = api.get_meta(self._client).value
        if self._cursor is not None and meta.instance == self._instance:
            self._add(Resumed(meta))
            return
        page = api.list_jobs(self._client, limit=FIRST_PAGE).value
        self._instance, self._cursor = meta.instance, page.cursor
        self._add(Snapshot(meta, page))

    def _add_events(self, events: list[JobEvent]) -> None:
        if not events:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._pending < MAX_PENDING or self._stopped)
            self._pending += len(events)
            last = self._items[-1] if self._items else None
            if isinstance(last, EventBatch):
                last.events.extend(events)
            else:
                self._append(EventBatch(events))

    def _add(self, item: FeedItem) -> None:
        with self._changed:
            self._append(item)

    def _append(self, item: FeedItem) -> None:
        was_empty = not self._items
        self._items.append(item)
        if was_empty and self._notify:
            self._notify()

    def _wait(self, pause: float) -> bool:
        """Wait for `pause` seconds, or until reconnect_now; return whether to continue."""
        with self._changed:
            self._changed.wait_for(lambda: self._reconnect_now or self._stopped, pause)
            self._reconnect_now = False
            return not self._stopped
