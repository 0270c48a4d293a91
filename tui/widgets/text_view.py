"""A scrolling view of a fixed list of lines, with a search."""

from tui.widgets.lines import LineView
from tui.widgets.matches import match_note, next_match
from tui.widgets.paint import StyledLine, highlight


class TextView(LineView):
    """A view of a fixed list of lines, with a search."""

    def __init__(self, lines: list[StyledLine] | None = None, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._lines: list[StyledLine] = lines or []
        self._pattern = ""
        self._found: int | None = None  # the row of the last match
        self.note = ""  # what the last search found

    @property
    def count(self) -> int:
        """The number of lines."""
        return len(self._lines)

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (lines are not wrapped here)
        """Return one line, with the matches of the search highlighted."""
        return highlight(self._lines[at], self._pattern)

    def row_style(self, row: int) -> str:
        """Draw the match that was found last in bold."""
        style = super().row_style(row)
        return f"{style} bold" if row == self._found else style

    def show(self, lines: list[StyledLine]) -> None:
        """Replace the lines."""
        self._lines = lines
        self.recount()

    @property
    def text(self) -> list[str]:
        """The text of the lines, without styles."""
        return ["".join(text for text, _ in line) for line in self._lines]

    def end_search(self) -> None:
        """Highlight nothing any more."""
        self._pattern, self._found, self.note = "", None, ""
        self.refresh()

    def find(self, pattern: str, *, backward: bool) -> bool:
        """Highlight a text, ignoring case, and scroll to its next line; return False if there is none."""
        self._pattern = pattern.lower()
        self.refresh()
        matches = [row for row, text in enumerate(self.text) if self._pattern in text.lower()]
        top, bottom = self.visible_rows
        last = self._found if self._found is not None and top <= self._found <= bottom else None
        start = (bottom + 1 if backward else top - 1) if last is None else last
        self._found = next_match(matches, start, backward=backward)
        self.note = match_note(pattern, matches, self._found, backward=backward)
        if self._found is not None and not top <= self._found <= bottom:
            self.jump(self._found)
        return self._found is not None
