"""The rows that the lines of a log make on screen: one each, or several where they are folded to a width."""

from collections.abc import Callable, Sequence

from tui.widgets.paint import folded

Shown = Callable[[bytes], str]


class LogRows:
    """Rows of (line, text); without a width no line is folded, and only what is seen is made readable."""

    def __init__(self, shown: Shown) -> None:
        self.cells: int | None = None
        self._shown = shown
        self._lines: Sequence[bytes] = ()
        self._folds: list[tuple[int, str]] | None = None

    def hold(self, lines: Sequence[bytes]) -> None:
        """Take other lines, or the same after they have changed."""
        self._lines = lines
        self._folds = None

    def fold(self, cells: int | None) -> None:
        """Take another width; None folds nothing."""
        if cells != self.cells:
            self.cells = cells
            self._folds = None

    def __len__(self) -> int:
        return len(self._lines) if self.cells is None else len(self._rows(self.cells))

    def __getitem__(self, row: int) -> tuple[int, str]:
        """Return the line that a row belongs to, and what is in it."""
        return (row, self._shown(self._lines[row])) if self.cells is None else self._rows(self.cells)[row]

    def begins(self, row: int) -> bool:
        """Say whether a row is the first one of its line."""
        return self.cells is None or row == 0 or self[row - 1][0] != self[row][0]

    def line(self, row: int) -> int:
        """Return the line of a row, or of the last one where there are fewer."""
        if self.cells is None:
            return row
        rows = self._rows(self.cells)
        return rows[min(row, len(rows) - 1)][0] if rows else 0

    def row(self, line: int) -> int:
        """Return the first row of a line."""
        if self.cells is None:
            return line
        return next((row for row, (at, _) in enumerate(self._rows(self.cells)) if at >= line), 0)

    def _rows(self, cells: int) -> list[tuple[int, str]]:
        if self._folds is None:
            self._folds = [(at, row) for at, line in enumerate(self._lines) for row in folded(self._shown(line), cells)]
        return self._folds
