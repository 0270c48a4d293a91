"""Align plain text in columns."""

from collections.abc import Collection, Sequence

from tui.text.plain import truncate, width

GAP = "  "


def align_columns(
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[int] = (),
    bends: int | None = None,
    columns: int | None = None,
) -> list[list[str]]:
    """Return the cells of each row padded to the width of their column; columns in `right` are right-aligned.

    If a row is wider than `columns`, column `bends` is truncated, but not below 12 cells. All rows must have the same
    number of cells.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    if bends is not None and columns is not None:
        excess = sum(widths) + len(GAP) * (len(widths) - 1) - columns
        widths[bends] = min(widths[bends], max(12, widths[bends] - excess))
    return [
        [
            _padded(truncate(cell, room), room, right=at in right)
            for at, (cell, room) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]


def join_cells(cells: Sequence[str]) -> str:
    """Return one line of padded cells."""
    return GAP.join(cells).rstrip()


def _padded(cell: str, room: int, *, right: bool) -> str:
    space = " " * (room - width(cell))
    return space + cell if right else cell + space
