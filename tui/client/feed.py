"""What the daemon tells, followed in a thread of its own: a snapshot, every event behind it, and a line that is cut.

Knows nothing of screens, so that it can start before the screens are imported.
"""

import threading
from collections.abc import Callable

from msgspec import Struct

from shared.api import JobPage, Meta
from shared.models import JobEvent
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, decode
from tui.client.stream import RETRY_DELAYS, STREAM_TIMEOUT, open_stream

FIRST_PAGE = 200  # jobs of the first page
MAX_PENDING = 20_000  # events that wait to be taken; beyond it the daemon waits, at its own end of the socket
GONE = 410


class Snapshot(Struct, frozen=True):
    """All that was known is void: who answers, and the newest jobs."""

    meta: Meta
    page: JobPage


class Resumed(Struct, frozen=True):
    """The daemon answers again, and nothing was missed."""

    meta: Meta


class EventBatch(Struct, frozen=True):
    """Events in their order."""

    events: list[JobEvent]


class ConnectionLost(Struct, frozen=True):
    """Nobody answers; the next try is in `pause` seconds, and it is number `attempt` + 1."""

    why: str
    attempt: int
    pause: float


FeedItem = Snapshot | Resumed | EventBatch | ConnectionLost


class EventFeed:
    """Follows one daemon until it is stopped; whoever listens takes the news when it is rung for."""

    def __init__(
        self, daemon: DaemonClient, *, patience: float = STREAM_TIMEOUT, pauses: tuple[float, ...] = RETRY_DELAYS
    ) -> None:
        self._daemon = daemon
        self._patience = patience
        self._pauses = pauses
        self._inbox: list[FeedItem] = []
        self._waiting = 0
        self._changed = threading.Condition()
        self._bell: Callable[[], object] | None = None
        self._stopped = False
        self._hurried = False
        self._instance: str | None = None
        self._cursor: int | None = None

    def start(self) -> None:
        """Begin; the thread ends with the process at the latest."""
        threading.Thread(target=self._run, name="feed", daemon=True).start()

    def listen(self, bell: Callable[[], object]) -> None:
        """Have `bell` called, from the feed's thread, whenever there is news and there was none."""
        with self._changed:
            self._bell = bell
            if self._inbox:
                bell()

    def take(self) -> list[FeedItem]:
        """Return the news since the last time, in their order."""
        with self._changed:
            news, self._inbox, self._waiting = self._inbox, [], 0
            self._changed.notify_all()
        return news

    def hurry(self) -> None:
        """Try to reach a lost daemon now."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Tell nothing more; a read that is under way is left to the end of the process."""
        with self._changed:
            self._stopped = True
            self._bell = None
            self._changed.notify_all()

    def _run(self) -> None:
        failures = 0
        while self._wanted():
            try:
                self._come_back()
                with open_stream(self._daemon, self._cursor, patience=self._patience) as stream:
                    failures = 0
                    for events in stream.batches():
                        self._tell_events(events)
                        self._cursor = stream.cursor
                        if not self._wanted():
                            return
                why = "the daemon ended the stream"
            except ApiError as refused:
                if refused.problem.status == GONE:
                    self._cursor = None
                    continue
                why = str(refused)
            except (DaemonUnreachable, InvalidResponse) as silence:
                why = str(silence)
            pause = self._pauses[min(failures, len(self._pauses) - 1)]
            failures += 1
            self._tell(ConnectionLost(why, failures, pause))
            self._rest(pause)

    def _come_back(self) -> None:
        """Say who answers; where that is another database, or the cursor is void, begin anew."""
        meta = decode(self._daemon.get("/meta"), Meta)
        if self._cursor is not None and meta.instance == self._instance:
            self._tell(Resumed(meta))
            return
        page = decode(self._daemon.get("/runner-jobs", [("limit", str(FIRST_PAGE))]), JobPage)
        self._instance, self._cursor = meta.instance, page.cursor
        self._tell(Snapshot(meta, page))

    def _tell_events(self, events: list[JobEvent]) -> None:
        if not events:
            return
        with self._changed:
            self._changed.wait_for(lambda: self._waiting < MAX_PENDING or self._stopped)
            self._waiting += len(events)
            last = self._inbox[-1] if self._inbox else None
            if isinstance(last, EventBatch):
                last.events.extend(events)
            else:
                self._put(EventBatch(events))

    def _tell(self, news: FeedItem) -> None:
        with self._changed:
            self._put(news)

    def _put(self, news: FeedItem) -> None:
        quiet = not self._inbox
        self._inbox.append(news)
        if quiet and self._bell:
            self._bell()

    def _wanted(self) -> bool:
        return not self._stopped

    def _rest(self, pause: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._hurried or self._stopped, pause)
            self._hurried = False
