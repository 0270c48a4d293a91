"""Applies the event feed to the session: events, connection state, daemon status and the rails in force.

The screens are updated at most 15 times a second, which is as often as anybody can see.
"""

from functools import partial
from time import monotonic

from textual.app import App

from shared import ids
from shared.models import JobEvent
from tui.app.alerts import Alerts
from tui.client import api
from tui.client.feed import ConnectionLost, EventBatch, FeedReader, Resumed, Snapshot
from tui.screens.rails_text import rejected_notice, reloaded_notice
from tui.screens.session import (
    DAEMON_ERRORS,
    DaemonConnection,
    EventsReceived,
    Session,
    SessionChanged,
    SnapshotReceived,
)
from tui.text.plain import plain
from tui.text.simulation import SIMULATED_DELIVERIES

FRAME_SECONDS = 1 / 15  # between two reads of the feed
POLL_SECONDS = 5.0  # between two requests for the daemon's status: a pause, for one, is not an event
BUSY_POLL_SECONDS = 1.0  # between them while jobs change state
READINESS_EVERY = 3  # requests for the load for each request for the readiness
OUTCOMES = {"job.cancelled": "is cancelled", "job.queued": "is queued again", "job.approved": "is approved",
            "job.denied": "is denied", "job.completed": "is completed", "job.failed": "failed"}  # fmt: skip


class EventPump:
    """Moves what the feed delivers into one session."""

    def __init__(self, app: App[None], session: Session, feed: FeedReader, alerts: Alerts) -> None:
        self._alerts = alerts
        self._app = app
        self._session = session
        self._feed = feed
        self._last_read = 0.0
        self._read_scheduled = False
        self._polls = 0
        self._last_poll = 0.0
        self._jobs_changed = False  # since the last poll

    def schedule(self) -> None:
        """Read the feed as soon as the frame rate allows."""
        if self._read_scheduled:
            return
        self._read_scheduled = True
        wait = self._last_read + FRAME_SECONDS - monotonic()
        if wait > 0:
            self._app.set_timer(wait, self._read)
        else:
            self._read()

    def tick(self) -> None:
        """Poll the daemon's status when it is due, or count down to the next try to reconnect; call once a second."""
        if self._session.connection.lost_at is not None:
            self._session.broadcast(SessionChanged)
        elif self._session.connection.live:
            self._poll_if_due()

    def _read(self) -> None:
        session = self._session
        self._read_scheduled = False
        self._last_read = monotonic()
        for item in self._feed.take():
            match item:
                case Snapshot(meta, page):
                    # First, so that no screen requests the page that is here already.
                    session.broadcast(partial(SnapshotReceived, page))
                    self._connected(DaemonConnection(meta))
                case Resumed(meta):
                    self._connected(DaemonConnection(meta))
                case ConnectionLost(why, attempt, pause):
                    now = session.clock()
                    since = session.connection.lost_at or now
                    retry_at = now + round(pause * 1000)
                    session.update(DaemonConnection(session.connection.meta, since, attempt, retry_at, why))
                case EventBatch(events):
                    self._apply(events)

    def _connected(self, connection: DaemonConnection) -> None:
        self._session.update(connection)
        self._polls = 0
        self._poll()
        self._session.start(self._load_rails(), group="rails", exclusive=True)

    def _apply(self, events: list[JobEvent]) -> None:
        session = self._session
        session.broadcast(partial(EventsReceived, events))
        for event in events:
            if event.job_id in session.acted_on and event.type in OUTCOMES:
                session.acted_on.discard(event.job_id)
                session.notify(f"{ids.short_id(event.job_id)} {OUTCOMES[event.type]}")
            elif event.type == "job.waiting" and event.job_id:
                session.notify(f"{ids.short_id(event.job_id)} waits for you")
        self._alerts.tell(events)
        changes = [event for event in events if event.type.startswith("rails.")]
        if changes:
            session.start(self._load_rails(changes[-1]), group="rails", exclusive=True)
        self._jobs_changed = self._jobs_changed or any(event.type.startswith("job.") for event in events)
        self._poll_if_due()

    def _poll_if_due(self) -> None:
        if monotonic() > self._last_poll + (BUSY_POLL_SECONDS if self._jobs_changed else POLL_SECONDS):
            self._poll()

    def _poll(self) -> None:
        self._last_poll, self._jobs_changed = monotonic(), False
        self._session.refresh_status(readiness=self._polls % READINESS_EVERY == 0)
        self._polls += 1

    async def _load_rails(self, event: JobEvent | None = None) -> None:
        """Show which rails are in force and, after a reload, what they change."""
        session = self._session
        try:
            state = (await session.call(api.get_rails)).value
        except DAEMON_ERRORS:
            return  # the banner shows that the connection is lost
        revision = f"rails {plain(state.revision)}" if state.revision else "no rails"
        session.rails_label = f"▲ {revision}" if state.error else revision
        if state.error:
            session.set_notice(rejected_notice(state))
            return
        mended = session.notice is not None and session.notice.rejected
        session.set_notice(None)
        if event is None or not _are_new(event):
            if mended and event is not None:
                as_before = " as before" if event.payload.get("beforeDigest") else ""
                session.notify(f"{state.path} is valid: {state.revision} in force{as_before}")
            return
        notice = reloaded_notice(state)
        if len(self._app.screen_stack) > 1:  # only the first screen shows what is new
            session.notify(notice.text)
        session.set_notice(notice)
        if state.text:
            try:
                reply = await session.call(api.simulate_rails, state.text, SIMULATED_DELIVERIES)
                simulation = reply.value
            except DAEMON_ERRORS:
                return
            session.set_notice(reloaded_notice(state, simulation))


def _are_new(event: JobEvent) -> bool:
    """Say whether other rails are in force since an event; at its start, the daemon does not know earlier ones."""
    before = event.payload.get("beforeDigest")
    return event.type == "rails.reloaded" and before is not None and before != event.payload.get("digest")
