"""What is to be known of the rails, in a line: that newer ones hold, and what they change; or why they do not."""

from msgspec import Struct

from shared.house import RailsState
from tui.plain import plain
from tui.simulated import Simulation, outcomes
from tui.times import clock
from tui.widgets.bar import Word
from tui.wording import count


class Notice(Struct, frozen=True):
    """A line for the list of jobs, and what newer rails would have decided."""

    words: str
    refused: bool = False
    simulation: Simulation | None = None

    @property
    def changes(self) -> bool:
        """Whether newer rails say something else of what came in."""
        return self.simulation is not None and bool(self.simulation.changed)

    @property
    def line(self) -> tuple[list[Word], list[Word]]:
        """The same for the two ends of a bar."""
        see: list[Word] = [("s to see ", "accent", "screen.see")] if self.changes else []
        return [(f" {self.words}", "red" if self.refused else "green", "app.open('rails')")], see


def refused(state: RailsState) -> Notice | None:
    """Return why the newest text of the file is not in force; None where it is."""
    error = state.error
    if error is None:
        return None
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is mended"
    since = f" from {clock(state.loaded_at)[:5]}" if state.revision and state.loaded_at else ""
    return Notice(plain(f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}{since}"), refused=True)


def reloaded(state: RailsState, simulation: Simulation | None = None) -> Notice:
    """Return which rails hold now, and what they change, as far as that is known."""
    before = f"{state.before} → " if state.before else ""
    changed = f"{count(len(state.changes), 'rule')} changed" if state.changes else "no rule changed"
    words = f"rails {before}{state.revision} in force · {changed}"
    if simulation is not None:
        what = outcomes(simulation) or "nothing would be decided otherwise"
        words += f" · of the last {simulation.deliveries:,} deliveries: {what}"
    return Notice(plain(words), simulation=simulation)
