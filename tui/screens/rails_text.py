"""The pages of the rails, without a screen: the text in force, what is wrong with a newer one, and what changed."""

import difflib

from msgspec import UNSET

from shared.house import RailsChange, RailsFault, RailsState
from tui import diffs
from tui.plain import plain
from tui.times import clock
from tui.widgets.bar import Word
from tui.widgets.paint import Line, folded
from tui.wording import NOTHING, count

_SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "moved": ("↕", "yellow")}
_CHANGED = ("~", "yellow")


def summary(state: RailsState) -> tuple[list[Word], list[Word]]:
    """Return what is in force, and where it lies."""
    since = f" since {clock(plain(state.loaded_at))[:8]}" if state.loaded_at else ""
    warned = f" · {count(len(state.warnings), 'warning')}" if state.warnings else ""
    force = f" {plain(state.revision)} in force{since}" if state.revision else " no rails are in force: nothing runs"
    left: list[Word] = [(force, "bold" if state.revision else "red", ""), (warned, "yellow", "")]
    return left, [(f"{plain(state.path)} · mode {plain(state.mode or NOTHING)} ", "dim", "")]


def complaint(state: RailsState, cells: int) -> list[Line]:
    """Return what is wrong with the newest text of the file, and what that means; nothing where it is in force."""
    error = state.error
    if error is None:
        return []
    kept = f"kept {state.revision}" if state.revision else "nothing runs until it is mended"
    where = f"▲ {state.path}:{error.line}:{error.column} {error.message} · {kept}"
    lines: list[Line] = [[(part, "red")] for part in folded(plain(where), cells)]
    if isinstance(error.source, str):
        shown = plain(error.source.expandtabs())
        lines += [[("▲", "red"), (f"{error.line:>4} ", "dim"), (shown, "red")], _mark(error, "red", text="")]
    return lines


def numbered(state: RailsState, pointed: int | None = None) -> list[Line]:
    """Return the text in force with its line numbers, one of them pointed at; under a line what is doubtful."""
    warnings: dict[int, list[RailsFault]] = {}
    for each in state.warnings:
        warnings.setdefault(each.line, []).append(each)
    changed = {change.line for change in state.changes}
    page: list[Line] = []
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


def changes(state: RailsState) -> list[Line]:
    """Return how the rails in force differ from those before: the rules, then the lines."""
    if state.before is None:
        return [[("nothing changed since the daemon started", "dim")]]
    page: list[Line] = [[(f"{plain(state.before)} → {plain(state.revision or NOTHING)}", "bold")], []]
    page += [_change(each) for each in state.changes] or [[("no rule is another", "dim")]]
    if isinstance(state.before_text, str):
        old, new = (text.splitlines() for text in (state.before_text, state.text or ""))
        for line in difflib.unified_diff(old, new, state.before, state.revision or NOTHING, lineterm=""):
            text = diffs.shown(line.encode())
            page.append([(text, diffs.colour(text))])
    return page


def _change(change: RailsChange) -> Line:
    sign, colour = _SIGNS.get(change.change, _CHANGED)
    keys = f" ({', '.join(change.keys)})" if change.keys else ""
    where = f"  line {change.line}" if change.line else ""
    return [(f"{sign} ", colour), (plain(f"{change.what} {change.change}{keys}"), ""), (where, "dim")]


def _mark(fault: RailsFault, colour: str, *, text: str) -> Line:
    return [(" " * (6 + fault.column - 1) + f"▲{plain(text)}", colour)]


def against(state: RailsState) -> str | None:
    """Return the revision that the rails in force are to be compared with, where its text is not here yet."""
    return state.before if state.before_text is UNSET else None
