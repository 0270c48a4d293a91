"""The themes: every state can be read on the background of both, selected or not, and while it is dimmed."""

import pytest
from textual.app import App
from textual.color import Color
from textual.filter import dim_color

from shared.models import Status, StepStatus
from tui.text.jobs import STEP_STYLES, status_style
from tui.widgets.paint import Palette
from tui.widgets.themes import LIGHT, theme_name

WORDS = {"accent", *(status_style(status, cancelling=True).colour for status in Status)}
WORDS |= {STEP_STYLES[status].colour for status in StepStatus}
WORDS |= {status_style(status).colour for status in Status}
MIN_CONTRAST = 4.5  # of text, by WCAG 2


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: Color, other: Color) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("word", sorted(WORDS | {""}))
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_colour_of_a_state_can_be_read(theme: str, word: str) -> None:
    app = App[None]()
    app.register_theme(LIGHT)
    variables = app.available_themes[theme_name(theme)].to_color_system().generate()
    background = Color.parse(variables["background"])
    style = Palette(variables)[word]
    colour = Color.from_rich_color(style.color) if style.color else Color.parse(variables["foreground"])
    if style.dim:
        colour = Color.from_rich_color(dim_color(background.rich_color, colour.rich_color))
    assert _contrast(colour, background) >= MIN_CONTRAST


def test_the_words_of_states_are_all_examined() -> None:
    assert {"red", "green", "yellow", "cyan", "dim", "accent"} <= WORDS
