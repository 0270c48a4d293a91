"""The rails: the text in force with what is doubtful in it, and the fault of a newer one that was refused."""

from textual import on, work
from textual.app import ComposeResult

from shared.models import RailsFault, RailsState
from tui.client import decode
from tui.messages import Began, EventsCame
from tui.plain import plain
from tui.screens.room import REFUSALS, Room, crumb
from tui.times import clock
from tui.widgets.bar import Bar, Word
from tui.widgets.lines import Painted
from tui.widgets.paint import Line, folded
from tui.wording import NOTHING, count


class RailsScreen(Room):
    """One file, read only: it is changed in an editor, and watched by the daemon."""

    CSS = "RailsScreen #fault { display: none; }"

    def __init__(self) -> None:
        super().__init__()
        self._state: RailsState | None = None

    def body(self) -> ComposeResult:
        """Put the fault over the text."""
        yield Bar(id="state")
        yield Painted(id="fault")
        yield Painted(id="text")

    def title_words(self) -> list[Word]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("rails", "bold", "")]

    def on_mount(self) -> None:
        """Ask for them."""
        self.query_one("#text").focus()
        self.load()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self._draw)

    @on(Began)
    def began(self) -> None:
        """Ask again."""
        self.load()

    @on(EventsCame)
    def events_came(self, message: EventsCame) -> None:
        """Ask again where they changed."""
        if any(event.type.startswith("rails.") for event in message.events):
            self.load()

    @work(group="rails", exclusive=True)
    async def load(self) -> None:
        """Ask, and show them."""
        try:
            self._state = decode(await self.ask(self.house.daemon.get, "/rails"), RailsState)
        except REFUSALS as said:
            self.complain(said)
        self._draw()

    def _draw(self) -> None:
        state = self._state
        if state is None:
            return
        fault, text = self.query_one("#fault", Painted), self.query_one("#text", Painted)
        since = f" since {clock(plain(state.loaded_at))[:8]}" if state.loaded_at else ""
        warned = f" · {count(len(state.warnings), 'warning')}" if state.warnings else ""
        force = (
            f" {plain(state.revision)} in force{since}" if state.revision else " no rails are in force: nothing runs"
        )
        self.query_one("#state", Bar).show(
            [(force, "bold" if state.revision else "red", ""), (warned, "yellow", "")],
            [(f"{plain(state.path)} · mode {plain(state.mode or NOTHING)} ", "dim", "")],
        )
        lines = complaint(state, self.size.width - 2)
        fault.display = bool(lines)
        fault.styles.height = len(lines)
        fault.show(lines)
        text.show(numbered(state))


def complaint(state: RailsState, cells: int) -> list[Line]:
    """Return what is wrong with the newest text of the file, and what that means; nothing where it is in force."""
    error = state.error
    if error is None:
        return []
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is mended"
    where = f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}"
    return [[(part, "red")] for part in folded(plain(where), cells)]


def numbered(state: RailsState) -> list[Line]:
    """Return the text in force with its line numbers; under a line what is doubtful about it."""
    warnings: dict[int, list[RailsFault]] = {}
    for each in state.warnings:
        warnings.setdefault(each.line, []).append(each)
    page: list[Line] = []
    for number, line in enumerate((state.text or "").splitlines(), 1):
        found = warnings.get(number, [])
        text = plain(line.expandtabs())
        comment = text.lstrip().startswith("#")
        page.append(
            [
                (f"{'▲' if found else ' '}", "yellow"),
                (f"{number:>4} ", "dim"),
                (text, "yellow" if found else "dim" if comment else ""),
            ]
        )
        page += [[(" " * (6 + each.column - 1) + f"▲ {plain(each.message)}", "yellow")] for each in found]
    return page or [[("there is no text", "dim")]]
