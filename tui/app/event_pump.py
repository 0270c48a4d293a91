"""What comes from the daemon without being asked for by a screen: the feed, how it fares, and which rails hold.

Told to all screens, though no more often than anybody can see.
"""

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from shared import ids
from shared.api import Pulse, RailsState, Readiness
from shared.models import JobEvent
from tui.client.feed import ConnectionLost, EventBatch, EventFeed, Resumed, Snapshot
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, decode
from tui.screens.rails_text import RailsNotice, rejected_notice, reloaded_notice
from tui.screens.session import Connection, EventsReceived, SessionChanged, SnapshotReceived
from tui.text.plain import plain
from tui.text.simulation import simulate
from tui.widgets.bar import DaemonStatus

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

FRAME_SECONDS = 1 / 15  # seconds between two looks into the feed, while there is much to see
POLL_SECONDS = 5.0  # seconds between two questions after the pulse: that somebody paused is no event
BUSY_POLL_SECONDS = 1.0  # seconds between them while jobs move
READINESS_EVERY = 3  # pulses between two questions after health
OUTCOMES = {"job.cancelled": "is cancelled", "job.queued": "is queued again", "job.approved": "is approved",
            "job.denied": "is denied", "job.completed": "is completed", "job.failed": "failed"}  # fmt: skip


class EventPump:
    """Listens for one app, and keeps there what it hears."""

    def __init__(self, app: "StitcherApp", feed: EventFeed) -> None:
        self._app = app
        self._feed = feed
        self._last_look = 0.0
        self._looking = False
        self._pulses = 0
        self._last_pulse = 0.0
        self._moved = False  # a job, since the pulse was felt

    def rang(self) -> None:
        """Look into the feed soon."""
        if self._looking:
            return
        self._looking = True
        wait = self._last_look + FRAME_SECONDS - monotonic()
        if wait > 0:
            self._app.set_timer(wait, self._look)
        else:
            self._look()

    def _look(self) -> None:
        app = self._app
        self._looking = False
        self._last_look = monotonic()
        for news in self._feed.take():
            match news:
                case Snapshot(meta, page):
                    app.tell(partial(SnapshotReceived, page))  # first, so that nobody asks for the page that is here
                    self._relink(Connection(meta))
                    self._begin()
                case Resumed(meta):
                    self._relink(Connection(meta))
                    self._begin()
                case ConnectionLost(why, attempt, pause):
                    now = app.clock()
                    since = app.link.lost_at or now
                    self._relink(Connection(app.link.meta, since, attempt, now + round(pause * 1000), why))
                case EventBatch(events):
                    self._hear(events)

    def _begin(self) -> None:
        self._pulses = 0
        self.feel()
        self._app.run_worker(self.ask_rails(), group="rails", exclusive=True)

    def _relink(self, link: Connection) -> None:
        self._app.link = link
        self._app.tell(partial(SessionChanged, link))

    def _hear(self, events: list[JobEvent]) -> None:
        app = self._app
        app.tell(partial(EventsReceived, events))
        for event in events:
            if event.job_id in app.acted and event.type in OUTCOMES:
                app.acted.discard(event.job_id)
                app.notify(f"{plain(ids.short_id(event.job_id))} {OUTCOMES[event.type]}", markup=False)
            elif event.type == "job.waiting" and event.job_id:
                app.bell()
                app.notify(f"{plain(ids.short_id(event.job_id))} waits for you", markup=False)
        changes = [event for event in events if event.type.startswith("rails.")]
        if changes:
            app.run_worker(self.ask_rails(changes[-1]), group="rails", exclusive=True)
        self._moved = self._moved or any(event.type.startswith("job.") for event in events)
        self._feel_again()

    def beat(self) -> None:
        """Feel the pulse when it is time; once a second."""
        if self._app.link.lost_at is not None:
            self._app.tell(partial(SessionChanged, self._app.link))  # it counts down
        elif self._app.link.live:
            self._feel_again()

    def _feel_again(self) -> None:
        if monotonic() > self._last_pulse + (BUSY_POLL_SECONDS if self._moved else POLL_SECONDS):
            self.feel()

    def feel(self) -> None:
        """Ask how work goes, and now and then whether the daemon is well."""
        self._last_pulse, self._moved = monotonic(), False
        self._app.run_worker(self._feel(), group="pulse", exclusive=True)

    async def _feel(self) -> None:
        app = self._app
        self._pulses += 1
        try:
            pulse = decode(await app.ask(app.daemon.get, "/pulse"), Pulse)
            health = app.vitals.readiness
            if self._pulses % READINESS_EVERY == 1:
                health = await app.ask(_readiness, app.daemon)
        except (ApiError, DaemonUnreachable, InvalidResponse):
            return  # the link says that it is lost
        vitals = DaemonStatus(pulse, health)
        if vitals != app.vitals:
            app.vitals = vitals
            app.tell(partial(SessionChanged, app.link))

    async def ask_rails(self, event: JobEvent | None = None) -> None:
        """Show which rails are in force, and after an event how they differ from those before."""
        app = self._app
        try:
            state = decode(await app.ask(app.daemon.get, "/rails"), RailsState)
        except (ApiError, DaemonUnreachable, InvalidResponse):
            return  # the link says that it is lost; of a daemon without rails, the rails screen tells more
        revision = f"rails {plain(state.revision)}" if state.revision else "no rails"
        app.rails = f"▲ {revision}" if state.error else revision
        new = event is not None and event.type == "rails.reloaded"
        self._notice(
            rejected_notice(state) if state.error else reloaded_notice(state) if new else None, aloud=event is not None
        )
        if new and state.text and not state.error:
            try:
                simulation = await app.ask(simulate, app.daemon, state.text)
            except (ApiError, DaemonUnreachable, InvalidResponse):
                return
            self._notice(reloaded_notice(state, simulation), aloud=False)

    def _notice(self, notice: RailsNotice | None, *, aloud: bool) -> None:
        """Keep what is to be known of the rails; who looks at another screen than the first is told it."""
        if notice and aloud and len(self._app.screen_stack) > 1:
            self._app.say(notice.words, wrong=notice.refused)
        self._app.notice = notice
        self._app.tell(partial(SessionChanged, self._app.link))


def _readiness(daemon: DaemonClient) -> Readiness:
    try:
        return decode(daemon.get("/readyz"), Readiness)
    except ApiError as refused:  # 503 says why in the same shape
        return decode(refused.document, Readiness)
