"""The screen of the rails: the text in force with its warnings, what changed, and the error in a newer text."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from shared.api import RailsState
from tui.client import api
from tui.client.export import show_in_pager
from tui.client.http import DaemonClient
from tui.screens import rails_text
from tui.screens.base import BaseScreen, breadcrumb
from tui.screens.session import DAEMON_ERRORS, EventsReceived, Session, SnapshotReceived
from tui.screens.simulation import simulate_file
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.text_view import TextView

PAGES = ("Text", "Changes")


class RailsScreen(BaseScreen):
    """The rails file, read only: it is changed in an editor, and watched by the daemon."""

    CSS = "RailsScreen #fault { display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", name.lower()) for at, name in enumerate(PAGES, 1)],
        Binding("m", "simulate", "simulate"),
        Binding("y", "copy", "copy revision", show=False),
        Binding("vertical_line", "pager", "open in $PAGER", show=False),
    ]

    def __init__(self, session: Session, line: int | None = None) -> None:
        super().__init__(session)
        self._state: RailsState | None = None
        self._page = 1
        self._target_line = line

    def body(self) -> ComposeResult:
        """Stack the error and the text."""
        yield Bar(id="state")
        yield TextView(id="fault")
        yield Bar(id="pages")
        yield TextView(id="text")

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, and the name of the screen."""
        return [breadcrumb("Jobs"), ("rails", "bold", "")]

    @property
    def notice(self) -> None:
        """Nothing: the error is shown with its line."""
        return

    def on_mount(self) -> None:
        """Request the rails."""
        self.query_one("#text").focus()
        self.load()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.call_after_refresh(self._draw)

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request the rails again."""
        self.load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request the rails again if they changed."""
        if any(event.type.startswith("rails.") for event in message.events):
            self.load()

    @work(group="rails", exclusive=True)
    async def load(self) -> None:
        """Request the rails and show them."""
        try:
            self._state = await self.session.call(_rails)
        except DAEMON_ERRORS as error:
            self.show_error(error)
        self._draw()
        if self._target_line is not None:
            self.query_one("#text", TextView).jump(max(self._target_line - self.size.height // 3, 0))

    def _draw(self) -> None:
        state = self._state
        if state is None:
            return
        fault, text = self.query_one("#fault", TextView), self.query_one("#text", TextView)
        self.query_one("#state", Bar).show(*rails_text.summary(state))
        lines = rails_text.error_lines(state, self.size.width - 2)
        fault.display = bool(lines)
        fault.styles.height = len(lines)
        fault.show(lines)
        self.query_one("#pages", Bar).show(self._tab_segments(state))
        if self._page == 1:
            text.show(rails_text.text_lines(state, self._target_line))
        else:
            text.show(rails_text.change_lines(state))

    def _tab_segments(self, state: RailsState) -> list[BarSegment]:
        segments: list[BarSegment] = [(" ", "", "")]
        for at, name in enumerate(PAGES, 1):
            here, press = at == self._page, f"screen.press('{at}')"
            number = f" {len(state.changes)}" if name == "Changes" and state.changes else ""
            segments += [
                (f" {at} ", "accent" if here else "dim", press),
                (f"{name}{number} ", "bold" if here else "", press),
            ]
        return segments

    def action_page(self, page: int) -> None:
        """Show the text, or what changed."""
        self._page = page
        self._draw()
        self.query_one("#text", TextView).jump(0)

    def action_copy(self) -> None:
        """Copy the revision to the clipboard, through the terminal."""
        if self._state and self._state.revision:
            self.session.copy(self._state.revision)

    def action_pager(self) -> None:
        """Show the text in $PAGER until the user leaves it."""
        if self._state is None:
            return
        try:
            with self.app.suspend():
                show_in_pager(map(plain, (self._state.text or "").splitlines()))
        except (SuspendNotSupported, OSError) as error:
            self.session.notify(str(error), error=True)
        self.app.refresh()

    @work(group="simulate")
    async def action_simulate(self) -> None:
        """Simulate an edited file on past deliveries."""
        await simulate_file(self.session)


def _rails(client: DaemonClient) -> RailsState:
    """Return the rails in force, with the text of the previous ones."""
    state = api.get_rails(client).value
    previous = rails_text.missing_revision(state)
    return api.get_rails(client, against=previous).value if previous else state
