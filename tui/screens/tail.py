"""The screen of all events, as they happen."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from shared.models import JobEvent
from tui.client import api
from tui.client.http import DaemonClient
from tui.client.stream import open_stream
from tui.screens.base import BaseScreen, breadcrumb
from tui.screens.session import DAEMON_ERRORS, EventsReceived, SnapshotReceived
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.events import EventList
from tui.widgets.lines import RowView
from tui.widgets.searchable import SearchablePages

HISTORY = 300  # events from before the screen was opened


class TailScreen(BaseScreen):
    """The events of all jobs, deliveries and rails."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause"),
        Binding("w", "why", "why", show=False),
    ]

    def body(self) -> ComposeResult:
        """Stack the line of state and the events."""
        yield Bar(id="state")
        yield SearchablePages(EventList(id="events", classes="page"))

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, and the name of the screen."""
        return [breadcrumb("Jobs"), ("tail", "bold", ""), (" of all events", "dim", "")]

    @property
    def events(self) -> EventList:
        """The list."""
        return self.query_one(EventList)

    def on_mount(self) -> None:
        """Begin with past events."""
        self.events.focus()
        self._draw()
        self._load()

    @work(group="history", exclusive=True)
    async def _load(self) -> None:
        try:
            self.events.prepend(await self.session.call(_history))
        except DAEMON_ERRORS as error:
            self.show_error(error)
        self._draw()

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request past events again."""
        self._load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Show new events."""
        self.events.add(message.events)
        self._draw()

    @on(SearchablePages.Searched)
    @on(RowView.Moved)
    def _draw(self) -> None:
        """Draw the line of state."""
        events = self.events
        state = "‖ paused" if events.paused else "following" if events.following else "scrolled up: f follows"
        segments: list[BarSegment] = [(f" {state}", "yellow" if events.paused else "dim", "")]
        if events.held:
            segments.append((f"  +{events.held:,} new", "green", "screen.pause"))
        if events.filter:
            segments.append((f"  only: {plain(events.filter)}", "accent", ""))
        if not events.count:
            segments.append(("  no event matches" if events.filter else "  no events yet: jobs make them", "dim", ""))
        if events.note:
            segments.append((f"  {events.note}", "yellow", ""))
        hidden = f"{events.count:,} of {events.total:,}" if events.filter else f"{events.count:,} events"
        self.query_one("#state", Bar).show(segments, [(f"{hidden} ", "dim", "")])

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the job of the event."""
        event = self.events.event
        if event and event.job_id:
            self.session.open("job", event.job_id)

    def action_pause(self) -> None:
        """Pause, or continue."""
        self.events.toggle_pause()
        self._draw()

    def action_why(self) -> None:
        """Show the decision behind the event's job."""
        event = self.events.event
        if event and event.job_id:
            self.session.open("why", event.job_id)


def _history(client: DaemonClient) -> list[JobEvent]:
    newest = api.list_jobs(client, limit=1).value.cursor
    found: list[JobEvent] = []
    if newest:
        with open_stream(client, max(newest - HISTORY, 0)) as stream:
            for events in stream.batches():
                found += events
                if (stream.cursor or 0) >= newest:
                    break
    return found
