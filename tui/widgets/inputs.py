"""Inputs of one line: the filter of the jobs list, with completion, and the search in a page."""

from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input

from shared.filters import KEYS
from tui.widgets.job_order import SortedBoard

FilterValues = Callable[[], dict[str, Iterable[str]]]
VIEW_SIGN = "@"  # precedes the name of a saved view, and is the key of the views' names in FilterValues


class FilterBar(Input):
    """The input for a filter: enter applies it, escape discards it, tab completes the last word."""

    DEFAULT_CSS = """
    FilterBar, FilterBar:focus {
        display: none; height: 1; border: none; padding: 0 1 0 3; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "cursor_right", "complete"),
        Binding("enter", "submit", "apply"),
        Binding("escape", "leave", "leave", priority=True),
    ]

    class Left(Message):
        """The input was left without entering anything."""

    def __init__(self, values: FilterValues, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(
            placeholder="state:failed type:fix repo:octo-org/* age:<2h -gate:lint words",
            suggester=_FilterSuggester(values),
            select_on_focus=False,
            id=id,
        )
        self.cursor_blink = False

    def open(self, text: str) -> None:
        """Show the input with a text; it has the focus at once and receives the next key."""
        self.value = text
        self.display = True
        self.screen.set_focus(self)
        self.action_end()

    def action_leave(self) -> None:
        """Leave without entering anything."""
        self.post_message(self.Left())


class FindBar(Input):
    """The input for a text to search for, or to filter by: enter applies it, escape discards it."""

    DEFAULT_CSS = """
    FindBar, FindBar:focus { display: none; height: 1; border: none; padding: 0 1; background: $surface; dock: bottom; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "find"),
        Binding("escape", "leave", "leave", priority=True),
    ]

    class Left(Message):
        """The input was left without entering anything."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor_blink = False

    def open(self, purpose: str, text: str) -> None:
        """Show the input with a text; `purpose` is its placeholder. It receives the next key."""
        self.placeholder = purpose
        self.value = text
        self.display = True
        self.screen.set_focus(self)
        self.action_end()

    def close(self, focus: Widget) -> None:
        """Hide the input, and give the focus to another widget."""
        self.display = False
        self.screen.set_focus(focus)

    def action_leave(self) -> None:
        """Leave without entering anything."""
        self.post_message(self.Left())


def filter_values(board: SortedBoard, views: Iterable[str]) -> dict[str, Iterable[str]]:
    """Return the possible values of each filter key, as far as they are known from the jobs on the board."""
    found = {key: set(values) for key, values in KEYS.items()}
    for job in board.cached_jobs():
        found["type"].add(job.type)
        found["profile"].add(job.profile)
        found["executor"].add(job.executor)
        if job.repository:
            found["repo"].add(job.repository)
        if job.agent_task_id:
            found["agent"].add(job.agent_task_id)
    found["gate"].update(board.gates)
    return {VIEW_SIGN: views, **{key: {value for value in values if " " not in value} for key, values in found.items()}}


def complete_filter(text: str, values: Mapping[str, Iterable[str]]) -> str | None:
    """Return the text with its last word completed, or None; a comma begins another value of the same key."""
    before, space, word = text.rpartition(" ")
    if word.startswith(VIEW_SIGN):
        names = (name for name in sorted(values.get(VIEW_SIGN, ())) if name.startswith(word[1:]) and name != word[1:])
        view = next(names, None)
        return f"{before}{space}{VIEW_SIGN}{view}" if view else None
    sign = "-" if word.startswith("-") else ""
    key, colon, entered = word[len(sign) :].partition(":")
    if not colon:
        name = next((name for name in KEYS if key and name.startswith(key.lower())), None)
        return f"{before}{space}{sign}{name}:" if name else None
    earlier, comma, prefix = entered.rpartition(",")
    matching = (value for value in sorted(values.get(key.lower(), ())) if value.lower().startswith(prefix.lower()))
    value = next(matching, None)
    return f"{before}{space}{sign}{key}:{earlier}{comma}{value}" if value and value != prefix else None


class _FilterSuggester(Suggester):
    def __init__(self, values: FilterValues) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._values = values

    async def get_suggestion(self, value: str) -> str | None:
        return complete_filter(value, self._values())
