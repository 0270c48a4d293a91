"""The pages of the rails, without a screen: the text in force, what is wrong with a newer one, and what changed."""

import difflib

from msgspec import UNSET, Struct

from shared.api import RailsChange, RailsFault, RailsState, SimulationResult
from tui.text import diffs
from tui.text.jobs import DASH, counted
from tui.text.plain import plain
from tui.text.simulation import outcome_counts
from tui.text.times import time_of_day
from tui.widgets.bar import BarSegment
from tui.widgets.paint import StyledLine, wrap_line

# merged from tui.notice: What is to be known of the rails, in a line: that newer ones hold, and what they
# change; or why they do not.


class RailsNotice(Struct, frozen=True):
    """A line for the list of jobs, and what newer rails would have decided."""

    words: str
    refused: bool = False
    simulation: SimulationResult | None = None

    @property
    def changes(self) -> bool:
        """Whether newer rails say something else of what came in."""
        return self.simulation is not None and bool(self.simulation.changed)

    @property
    def line(self) -> tuple[list[BarSegment], list[BarSegment]]:
        """The same for the two ends of a bar."""
        see: list[BarSegment] = [("s to see ", "accent", "screen.see")] if self.changes else []
        return [(f" {self.words}", "red" if self.refused else "green", "app.open('rails')")], see


def rejected_notice(state: RailsState) -> RailsNotice | None:
    """Return why the newest text of the file is not in force; None where it is."""
    error = state.error
    if error is None:
        return None
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is mended"
    since = f" from {time_of_day(state.loaded_at)[:5]}" if state.revision and state.loaded_at else ""
    return RailsNotice(
        plain(f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}{since}"), refused=True
    )


def reloaded_notice(state: RailsState, simulation: SimulationResult | None = None) -> RailsNotice:
    """Return which rails hold now, and what they change, as far as that is known."""
    before = f"{state.before} → " if state.before else ""
    changed = f"{counted(len(state.changes), 'rule')} changed" if state.changes else "no rule changed"
    words = f"rails {before}{state.revision} in force · {changed}"
    if simulation is not None:
        what = outcome_counts(simulation) or "nothing would be decided otherwise"
        words += f" · of the last {simulation.deliveries:,} deliveries: {what}"
    return RailsNotice(plain(words), simulation=simulation)


_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "moved": ("↕", "yellow")}
_CHANGED = ("~", "yellow")


def summary(state: RailsState) -> tuple[list[BarSegment], list[BarSegment]]:
    """Return what is in force, and where it lies."""
    since = f" since {time_of_day(plain(state.loaded_at))[:8]}" if state.loaded_at else ""
    warned = f" · {counted(len(state.warnings), 'warning')}" if state.warnings else ""
    force = f" {plain(state.revision)} in force{since}" if state.revision else " no rails are in force: nothing runs"
    left: list[BarSegment] = [(force, "bold" if state.revision else "red", ""), (warned, "yellow", "")]
    return left, [(f"{plain(state.path)} · mode {plain(state.mode or DASH)} ", "dim", "")]


def error_lines(state: RailsState, cells: int) -> list[StyledLine]:
    """Return what is wrong with the newest text of the file, and what that means; nothing where it is in force."""
    error = state.error
    if error is None:
        return []
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is mended"
    where = f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}"
    lines: list[StyledLine] = [[(part, "red")] for part in wrap_line(plain(where), cells)]
    if isinstance(error.source, str):
        shown = plain(error.source.expandtabs())
        lines += [[("▲", "red"), (f"{error.line:>4} ", "dim"), (shown, "red")], _mark(error, "red", text="")]
    return lines


def numbered(state: RailsState, pointed: int | None = None) -> list[StyledLine]:
    """Return the text in force with its line numbers, one of them pointed at; under a line what is doubtful."""
    warnings: dict[int, list[RailsFault]] = {}
    for each in state.warnings:
        warnings.setdefault(each.line, []).append(each)
    changed = {change.line for change in state.changes}
    page: list[StyledLine] = []
    for number, line in enumerate((state.text or "").splitlines(), 1):
        found = warnings.get(number, [])
        text = plain(line.expandtabs())
        comment = text.lstrip().startswith("#")
        mark = ("▲", "yellow") if found else _CHANGED if number in changed else (" ", "")
        style = "yellow" if found else "dim" if comment else ""
        here = number == pointed
        page.append([("▶", "accent") if here else mark, (f"{number:>4} ", "dim"), (text, "accent" if here else style)])
        page += [_mark(each, "yellow", text=f" {each.message}") for each in found]
    return page or [[("there is no text", "dim")]]


def changes(state: RailsState) -> list[StyledLine]:
    """Return how the rails in force differ from those before: the rules, then the lines."""
    if state.before is None:
        return [[("nothing changed since the daemon started", "dim")]]
    page: list[StyledLine] = [[(f"{plain(state.before)} → {plain(state.revision or DASH)}", "bold")], []]
    page += [_change(each) for each in state.changes] or [[("no rule is another", "dim")]]
    if isinstance(state.before_text, str):
        old, new = (text.splitlines() for text in (state.before_text, state.text or ""))
        for line in difflib.unified_diff(old, new, state.before, state.revision or DASH, lineterm=""):
            text = diffs.diff_line(line.encode())
            page.append([(text, diffs.diff_colour(text))])
    return page


def _change(change: RailsChange) -> StyledLine:
    sign, colour = _SIGNS.get(change.change, _CHANGED)
    keys = f" ({', '.join(change.keys)})" if change.keys else ""
    where = f"  line {change.line}" if change.line else ""
    return [(f"{sign} ", colour), (plain(f"{change.what} {change.change}{keys}"), ""), (where, "dim")]


def _mark(fault: RailsFault, colour: str, *, text: str) -> StyledLine:
    return [(" " * (6 + fault.column - 1) + f"▲{plain(text)}", colour)]


def missing_revision(state: RailsState) -> str | None:
    """Return the revision that the rails in force are to be compared with, where its text is not here yet."""
    return state.before if state.before_text is UNSET else None
