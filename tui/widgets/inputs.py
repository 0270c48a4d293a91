"""The filter: one line of words, completed from the keys there are and the values that are on screen."""

from collections.abc import Callable, Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input

from shared.filters import KEYS
from tui.widgets.board import Board

# merged from tui.widgets.find_bar: Where one types what to look for.

FilterValues = Callable[[], dict[str, Iterable[str]]]
VIEW_SIGN = "@"  # the key of the views' names, which are written @name


def complete_filter(text: str, values: dict[str, Iterable[str]]) -> str | None:
    """Return the text with its last word completed, or None; a comma starts another value of the same key."""
    before, space, word = text.rpartition(" ")
    if word.startswith(VIEW_SIGN):
        names = (name for name in sorted(values.get(VIEW_SIGN, ())) if name.startswith(word[1:]) and name != word[1:])
        view = next(names, None)
        return f"{before}{space}{VIEW_SIGN}{view}" if view else None
    sign = "-" if word.startswith("-") else ""
    key, colon, said = word[len(sign) :].partition(":")
    if not colon:
        found = next((name for name in KEYS if key and name.startswith(key.lower())), None)
        return f"{before}{space}{sign}{found}:" if found else None
    earlier, comma, begun = said.rpartition(",")
    fitting = (value for value in sorted(values.get(key.lower(), ())) if value.lower().startswith(begun.lower()))
    value = next(fitting, None)
    return f"{before}{space}{sign}{key}:{earlier}{comma}{value}" if value and value != begun else None


def filter_values(board: Board, views: Iterable[str]) -> dict[str, Iterable[str]]:
    """Return what each key may be, as far as it is known here."""
    found = {key: set(values) for key, values in KEYS.items()}
    for job in board.held():
        found["type"].add(job.type)
        found["profile"].add(job.profile)
        if job.repository:
            found["repo"].add(job.repository)
        if job.agent_task_id:
            found["agent"].add(job.agent_task_id)
    found["gate"].update(board.gates)
    return {VIEW_SIGN: views, **{key: {value for value in values if " " not in value} for key, values in found.items()}}


class _FilterSuggester(Suggester):
    def __init__(self, values: FilterValues) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._values = values

    async def get_suggestion(self, value: str) -> str | None:
        return complete_filter(value, self._values())


class FilterBar(Input):
    """Where the filter is typed; enter takes it, escape leaves things as they were."""

    DEFAULT_CSS = """
    FilterBar, FilterBar:focus { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "cursor_right", "complete"),
        Binding("enter", "submit", "apply"),
        Binding("escape", "leave", "leave", priority=True),
    ]

    class Left(Message):
        """Nothing was entered."""

    def __init__(self, values: FilterValues, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(
            placeholder="state:failed type:fix repo:octo-org/* age:<2h -gate:lint words",
            suggester=_FilterSuggester(values),
            select_on_focus=False,
            id=id,
        )
        self.cursor_blink = False

    def open(self, text: str) -> None:
        """Take the very next key: it is there already, and shown now."""
        self.value = text
        self.display = True
        self.screen.set_focus(self)
        self.action_end()

    def action_leave(self) -> None:
        """Go back to the list."""
        self.post_message(self.Left())


class FindBar(Input):
    """One line; enter looks for it, escape leaves."""

    DEFAULT_CSS = """
    FindBar, FindBar:focus { display: none; height: 1; border: none; padding: 0 1; background: $surface; dock: bottom; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "find"),
        Binding("escape", "leave", "leave", priority=True),
    ]

    class Left(Message):
        """Nothing was entered."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.cursor_blink = False

    def open(self, what: str, text: str) -> None:
        """Take the very next key, to say what is to be done with what is typed."""
        self.placeholder = what
        self.value = text
        self.display = True
        self.screen.set_focus(self)
        self.action_end()

    def close(self, back: Widget) -> None:
        """Hide, and give the keys back."""
        self.display = False
        self.screen.set_focus(back)

    def action_leave(self) -> None:
        """Go back."""
        self.post_message(self.Left())
