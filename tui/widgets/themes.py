"""The themes of the full screen: what `dark` and `light` stand for. Any theme of Textual can be selected too."""

from textual.theme import Theme

LIGHT = Theme(
    name="stitcher-light",  # the light themes of Textual have states in colours that can hardly be read
    primary="#1976D2",
    secondary="#1976D2",
    warning="#B87400",
    error="#E5383B",
    success="#24913F",
    accent="#A34F00",
    foreground="#1A1A1A",
    background="#FAFAFA",
    surface="#EDEDED",
    panel="#E2E2E2",
    dark=False,
)
_ALIASES = {"dark": "textual-dark", "light": LIGHT.name}


def theme_name(given: str) -> str:
    """Return the name of a theme by which Textual knows it."""
    return _ALIASES.get(given, given)
