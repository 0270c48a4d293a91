"""Lines are measured as Textual measures them, which differs from the sum of the characters for emoji."""

import pytest
from rich.cells import cell_len
from rich.style import Style

from tui.widgets.paint import Palette, crop, highlight, wrap_line

WIDE = [
    "👩\u200d💻 done",
    "👍🏽👍🏽 ok",
    "1\ufe0f\u20e3 first",
    "❤\ufe0f❤\ufe0f",
    "🇩🇪 flag",
    "日本語 text",
    "e\u0301e\u0301",
    "क्षि",
]


@pytest.mark.parametrize("text", WIDE)
@pytest.mark.parametrize("cells", [3, 10, 40])
def test_a_drawn_line_has_the_width_of_the_screen(text: str, cells: int) -> None:
    strip = Palette({}).strip([(text, ""), ("|", "bold")], 0, cells, Style.null())
    assert strip.cell_length == cell_len(strip.text) == cells
    assert ("|" in strip.text) == (cell_len(text) < cells)


@pytest.mark.parametrize("text", WIDE)
@pytest.mark.parametrize("cells", [1, 2, 3, 4, 5, 20])
def test_cropped_text_fits(text: str, cells: int) -> None:
    cropped = crop(text, cells)
    assert cell_len(cropped) <= cells
    assert (cropped == text) == (cell_len(text) <= cells)


@pytest.mark.parametrize("text", [*(text * 5 for text in WIDE), "plain words that are wrapped", "x" * 30])
@pytest.mark.parametrize("cells", [2, 7, 20])
def test_wrapped_lines_fit_and_lose_only_blanks(text: str, cells: int) -> None:
    lines = wrap_line(text, cells)
    assert all(cell_len(line) <= cells for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_match_is_highlighted_across_styles() -> None:
    line = highlight([("Ab", "red"), ("cd", "")], "bc")
    assert line == [("A", "red"), ("b", "reverse accent"), ("c", "reverse accent"), ("d", "")]
