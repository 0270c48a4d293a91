"""All events, as they happen."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from shared.api import JobPage
from shared.models import JobEvent
from tui.client.http import DaemonClient, decode
from tui.client.stream import open_stream
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.session import EventsReceived, SnapshotReceived
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.events import EventList
from tui.widgets.inputs import FindBar
from tui.widgets.lines import RowView

PAST = 300  # events from before


class TailScreen(BaseScreen):
    """A line for each event, of all jobs, deliveries and rails."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause"),
        Binding("f", "follow", "follow"),
        Binding("slash", "type('find')", "find", priority=True),
        Binding("ampersand", "type('filter')", "filter", priority=True),
        Binding("n", "again(0)", "next", show=False),
        Binding("N", "again(1)", "previous", show=False),
        Binding("w", "why", "why", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._pattern = ""
        self._typing = ""
        self._note = ""

    def body(self) -> ComposeResult:
        """Put a line of state over the events."""
        yield Bar(id="state")
        yield EventList(id="events")
        yield FindBar(id="typing")

    def title_words(self) -> list[BarSegment]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("tail", "bold", ""), (" of all events", "dim", "")]

    @property
    def events(self) -> EventList:
        """The list."""
        return self.query_one(EventList)

    def on_mount(self) -> None:
        """Begin with what happened before."""
        self.events.focus()
        self._draw()
        self._load()

    @work(group="past", exclusive=True)
    async def _load(self) -> None:
        try:
            self.events.prepend(await self.ask(_past, self.house.daemon))
        except REFUSALS as said:
            self.show_error(said)
        self._draw()

    @on(SnapshotReceived)
    def began(self) -> None:
        """Ask again for what happened before."""
        self._load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Show them."""
        self.events.add(message.events)
        self._draw()

    @on(RowView.Moved)
    def _draw(self) -> None:
        """Say how it stands."""
        events = self.events
        last = events.cursor >= events.count - 1
        state = "‖ paused" if events.paused else "following" if last else "scrolled up: f follows"
        words: list[BarSegment] = [(f" {state}", "yellow" if events.paused else "dim", "")]
        if events.held:
            words.append((f"  +{events.held:,} new", "green", "screen.pause"))
        if events.filter:
            words.append((f"  only: {plain(events.filter)}", "accent", ""))
        if not events.count:
            words.append(("  no event has that" if events.filter else "  no events yet: jobs make them", "dim", ""))
        if self._note:
            words.append((f"  {self._note}", "yellow", ""))
        hidden = f"{events.count:,} of {events.total:,}" if events.filter else f"{events.count:,} events"
        self.query_one("#state", Bar).show(words, [(f"{hidden} ", "dim", "")])

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the job of the event."""
        event = self.events.event
        if event and event.job_id:
            self.house.open_job(event.job_id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's way)
        """Leave the keys of the fields to them."""
        return action != "type" or self.focused is self.events

    def action_pause(self) -> None:
        """Hold, or go on."""
        self.events.toggle_pause()
        self._draw()

    def action_follow(self) -> None:
        """Go to the newest, and stay there."""
        if self.events.paused:
            self.events.toggle_pause()
        self.events.action_last()

    def action_type(self, what: str) -> None:
        """Type what to look for, or what to show alone."""
        self._typing = what
        field = self.query_one(FindBar)
        field.placeholder = what
        self.open_input(field, self._pattern if what == "find" else self.events.filter)

    @on(FindBar.Submitted)
    def entered(self, message: FindBar.Submitted) -> None:
        """Look for it, or show it alone."""
        self._leave()
        if self._typing == "filter":
            self.events.set_filter(message.value)
        else:
            self._pattern = message.value
            self.action_again(1)
        self._draw()

    @on(FindBar.Left)
    def _leave(self) -> None:
        self.close_input(self.query_one(FindBar), self.events)

    def action_again(self, backward: int) -> None:
        """Look further for the same."""
        found = bool(self._pattern) and self.events.find(self._pattern, backward=bool(backward))
        self._note = (
            "" if found or not self._pattern else f"{plain(self._pattern)} is not {'above' if backward else 'below'}"
        )
        self._draw()

    def action_why(self) -> None:
        """Show the decision behind the event's job."""
        event = self.events.event
        if event and event.job_id:
            self.house.show_why(event.job_id)


def _past(daemon: DaemonClient) -> list[JobEvent]:
    newest = decode(daemon.get("/runner-jobs", [("limit", "1")]), JobPage).cursor
    found: list[JobEvent] = []
    if newest:
        with open_stream(daemon, max(newest - PAST, 0)) as stream:
            for events in stream.batches():
                found += events
                if (stream.cursor or 0) >= newest:
                    break
    return found
