"""The rails in words: the notice about a reload, the text in force, the error in a newer text, the changes."""

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

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "moved": ("↕", "yellow")}
_CHANGED = ("~", "yellow")


class RailsNotice(Struct, frozen=True):
    """A line of text about new rails and, if they are in force, how they would have decided past deliveries."""

    text: str
    rejected: bool = False
    simulation: SimulationResult | None = None

    @property
    def has_changes(self) -> bool:
        """Whether a past delivery would be decided differently."""
        return self.simulation is not None and bool(self.simulation.changed)

    @property
    def bar(self) -> tuple[list[BarSegment], list[BarSegment]]:
        """The left and the right part of a bar."""
        hints: list[BarSegment] = [("m to see  ", "accent", "screen.simulate")] if self.has_changes else []
        if not self.rejected:
            hints.append(("esc hides this ", "accent", "screen.dismiss_notice"))
        return [(f" {self.text}", "red" if self.rejected else "green", "app.open('rails')")], hints


def rejected_notice(state: RailsState) -> RailsNotice | None:
    """Return why the newest text of the file is not in force, or None if it is."""
    error = state.error
    if error is None:
        return None
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is fixed"
    since = f" from {time_of_day(state.loaded_at)[:5]}" if state.revision and state.loaded_at else ""
    return RailsNotice(
        plain(f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}{since}"), rejected=True
    )


def reloaded_notice(state: RailsState, simulation: SimulationResult | None = None) -> RailsNotice:
    """Return which rails are in force now and, as far as it is known, what they change."""
    before = f"{state.before} → " if state.before else ""
    changed = f"{counted(len(state.changes), 'rule')} changed" if state.changes else "no rule changed"
    text = f"rails {before}{state.revision} in force · {changed}"
    if simulation is not None:
        what = outcome_counts(simulation) or "nothing would be decided differently"
        text += f" · of the last {simulation.deliveries:,} deliveries: {what}"
    return RailsNotice(plain(text), simulation=simulation)


def summary(state: RailsState) -> tuple[list[BarSegment], list[BarSegment]]:
    """Return the left and the right part of a bar: which rails are in force, and where their file is."""
    since = f" since {time_of_day(plain(state.loaded_at))[:8]}" if state.loaded_at else ""
    warned = f" · {counted(len(state.warnings), 'warning')}" if state.warnings else ""
    force = f" {plain(state.revision)} in force{since}" if state.revision else " no rails are in force: nothing runs"
    left: list[BarSegment] = [(force, "bold" if state.revision else "red", ""), (warned, "yellow", "")]
    return left, [(f"{plain(state.path)} · mode {plain(state.mode or DASH)} ", "dim", "")]


def error_lines(state: RailsState, cells: int) -> list[StyledLine]:
    """Return the error in the newest text of the file, wrapped to `cells`; no lines if that text is in force."""
    error = state.error
    if error is None:
        return []
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is fixed"
    where = f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}"
    lines: list[StyledLine] = [[(part, "red")] for part in wrap_line(plain(where), cells)]
    if isinstance(error.source, str):
        shown = plain(error.source.expandtabs())
        lines += [[("▲", "red"), (f"{error.line:>4} ", "dim"), (shown, "red")], _mark(error, "red", text="")]
    return lines


def text_lines(state: RailsState, target: int | None = None) -> list[StyledLine]:
    """Return the text in force with line numbers, changed lines, warnings, and a pointer at line `target`."""
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
        here = number == target
        page.append([("▶", "accent") if here else mark, (f"{number:>4} ", "dim"), (text, "accent" if here else style)])
        page += [_mark(each, "yellow", text=f" {each.message}") for each in found]
    return page or [[("there is no text", "dim")]]


def change_lines(state: RailsState) -> list[StyledLine]:
    """Return how the rails in force differ from the previous ones: the rules, then the lines."""
    if state.before is None:
        return [[("nothing changed since the daemon started", "dim")]]
    page: list[StyledLine] = [[(f"{plain(state.before)} → {plain(state.revision or DASH)}", "bold")], []]
    page += [_change(each) for each in state.changes] or [[("no rule changed", "dim")]]
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
    """Return the previous revision if its text has not been requested yet."""
    return f"r-{state.before_digest}" if state.before_digest and state.before_text is UNSET else None
