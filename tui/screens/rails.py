"""The rails: the text in force with what is doubtful in it, what changed, and the fault of a newer one."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType

from shared.api import RailsState
from tui.client.export import show_in_pager
from tui.client.http import DaemonClient, decode
from tui.screens import rails_text, simulation
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.session import EventsReceived, SnapshotReceived
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.lines import TextView

PAGES = ("Text", "Changes")


class RailsScreen(BaseScreen):
    """One file, read only: it is changed in an editor, and watched by the daemon."""

    CSS = "RailsScreen #fault { display: none; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", name.lower()) for at, name in enumerate(PAGES, 1)],
        Binding("s", "simulate", "simulate a file"),
        Binding("y", "copy", "copy revision", show=False),
        Binding("o", "pager", "open in $PAGER", show=False),
    ]

    def __init__(self, line: int | None = None) -> None:
        super().__init__()
        self._state: RailsState | None = None
        self._page = 1
        self._line = line  # that is pointed at

    def body(self) -> ComposeResult:
        """Put the fault over the text."""
        yield Bar(id="state")
        yield TextView(id="fault")
        yield Bar(id="pages")
        yield TextView(id="text")

    def title_words(self) -> list[BarSegment]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("rails", "bold", "")]

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one("#text").focus()
        self.load()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self._draw)

    @on(SnapshotReceived)
    def began(self) -> None:
        """Ask again."""
        self.load()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Ask again where they changed."""
        if any(event.type.startswith("rails.") for event in message.events):
            self.load()

    @work(group="rails", exclusive=True)
    async def load(self) -> None:
        """Ask, and show them."""
        try:
            self._state = await self.ask(_state, self.house.daemon)
        except REFUSALS as said:
            self.show_error(said)
        self._draw()
        if self._line is not None:
            self.query_one("#text", TextView).jump(max(self._line - self.size.height // 3, 0))

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
        words: list[BarSegment] = [(" ", "", "")]
        for at, name in enumerate(PAGES, 1):
            here, press = at == self._page, f"screen.press('{at}')"
            number = f" {len(state.changes)}" if name == "Changes" and state.changes else ""
            words += [
                (f" {at} ", "accent" if here else "dim", press),
                (f"{name}{number} ", "bold" if here else "", press),
            ]
        self.query_one("#pages", Bar).show(words)
        text.show(rails_text.numbered(state, self._line) if self._page == 1 else rails_text.changes(state))

    def action_page(self, page: int) -> None:
        """Show the text, or what changed."""
        self._page = page
        self._draw()
        self.query_one("#text", TextView).jump(0)

    def action_copy(self) -> None:
        """Put the revision on the clipboard, through the terminal."""
        if self._state and self._state.revision:
            self.house.copy(self._state.revision)

    def action_pager(self) -> None:
        """Show the text in $PAGER, and come back."""
        if self._state is None:
            return
        try:
            with self.house.suspend():
                show_in_pager(map(plain, (self._state.text or "").splitlines()))
        except (SuspendNotSupported, OSError) as said:
            self.house.say(str(said), wrong=True)
        self.app.refresh()

    @work(group="simulate")
    async def action_simulate(self) -> None:
        """Say what an edited file would have decided of what came in."""
        await simulation.simulate_file(self.house)


def _state(daemon: DaemonClient) -> RailsState:
    """Return what is in force, with the text of what was before."""
    state = decode(daemon.get("/rails"), RailsState)
    before = rails_text.missing_revision(state)
    return decode(daemon.get("/rails", [("against", before)]), RailsState) if before else state
