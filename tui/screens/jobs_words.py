"""The line of the filter over the list of jobs, and what is wrong with it."""

import msgspec

from tui.client import Refused
from tui.plain import plain
from tui.screens.jobs_list import Jobs
from tui.screens.narrowing import Narrowing
from tui.screens.steering import APPROVE, CANCEL, RETRY, fitting
from tui.widgets.bar import Word

ALL = "all that fit selected · c cancel · r retry   "


class _Fault(msgspec.Struct):
    detail: str = ""
    column: int | None = None


def filter_words(narrowing: Narrowing) -> list[Word]:
    """Return the filter that there is; that of a view stands in front, as the daemon counts its columns."""
    words: list[Word] = [(" / ", "accent", "screen.press('slash')")]
    if narrowing.tab.filter:
        words.append((f"{plain(narrowing.tab.filter)} ", "dim", ""))
    said = plain(narrowing.filter) or ("" if narrowing.tab.filter else "no filter")
    return [*words, (said, "" if narrowing.filter else "dim", "screen.press('slash')")]


def list_words(jobs: Jobs, everything: int) -> list[Word]:
    """Return what is selected, what is new above, and how many of `everything` are shown."""
    words: list[Word] = []
    if jobs.all_marked:
        words.append((ALL, "accent", ""))
    elif jobs.marked:
        chosen = jobs.chosen
        acts = [f"{act.verb[0]} {act.verb} {len(fit)}" for act in (CANCEL, RETRY) if (fit := fitting(act, chosen))]
        if waiting := fitting(APPROVE, chosen):
            acts.append(f"a/d {len(waiting)}")
        words.append((" · ".join([f"{len(jobs.marked)} selected", *acts]) + "   ", "accent", ""))
    if jobs.above:
        words.append((f"+{jobs.above} new   ", "green", "screen.press('home')"))
    known = f"{jobs.count:,}{'+' if jobs.board.more else ''}"
    return [*words, (f"{known} of {everything:,}   ↑newest ", "dim", "screen.press('home')")]


def fault_words(refused: Refused) -> list[Word]:
    """Return what is wrong with a filter, under the place where it is wrong."""
    fault = msgspec.json.decode(refused.document, type=_Fault)
    offset = len(" / ") + (fault.column or 1) - 1
    return [(" " * offset + "▲ " + plain(fault.detail), "red", "")]
