"""Columns of plain text."""

from tui.text.table import align_columns, join_cells


def test_columns_are_aligned_and_the_bending_one_is_truncated() -> None:
    rows = [["a", "日本", "1"], ["bcd", "a long sentence about a gate", "22"]]
    assert [join_cells(row) for row in align_columns(rows, right={2})] == [
        "a    日本                           1",
        "bcd  a long sentence about a gate  22",
    ]
    assert [join_cells(row) for row in align_columns(rows, bends=1, columns=24)] == [
        "a    日本             1",
        "bcd  a long sentenc…  22",
    ]
    assert join_cells(align_columns(rows, bends=1, columns=5)[1]) == "bcd  a long sent…  22"
