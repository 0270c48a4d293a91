"""The full screens by name. To add one: write its module, and add a line here.

A screen is a subclass of `tui.screens.base.BaseScreen` whose constructor takes the session, then its subject if it
has one. Its module is imported when it is first opened, so that the first paint does not wait for it.
"""

from importlib import import_module
from typing import Any, NamedTuple

from textual.binding import Binding
from textual.screen import Screen


class ScreenEntry(NamedTuple):
    """Where a screen is defined, and the global key that opens it, if one does."""

    module: str
    name: str
    key: str = ""
    description: str = ""
    hint: bool = False  # whether the key is shown at the bottom of every screen, beside being listed in the help

    def load(self) -> Any:
        """Import the module and return the screen's class."""
        return getattr(import_module(self.module), self.name)


SCREENS = {
    "jobs": ScreenEntry("tui.screens.jobs", "JobsScreen"),
    "job": ScreenEntry("tui.screens.job", "JobScreen"),
    "tail": ScreenEntry("tui.screens.tail", "TailScreen", "t", "tail", hint=True),
    "deliveries": ScreenEntry("tui.screens.deliveries", "DeliveriesScreen", "D", "deliveries", hint=True),
    "rails": ScreenEntry("tui.screens.rails", "RailsScreen", "R", "rails", hint=True),
    "insights": ScreenEntry("tui.screens.insights", "InsightsScreen", "i", "insights", hint=True),
    "simulation": ScreenEntry("tui.screens.simulation", "SimulationScreen"),
    "why": ScreenEntry("tui.screens.why", "WhyScreen"),
    "dispatch": ScreenEntry("tui.screens.dispatch", "DispatchScreen", "plus", "dispatch"),
}


def screen_bindings() -> list[Binding]:
    """Return the global key bindings that open screens."""
    return [
        Binding(entry.key, f"open('{name}')", entry.description, show=entry.hint)
        for name, entry in SCREENS.items()
        if entry.key
    ]


def screen_name(screen: Screen[Any]) -> str | None:
    """Return the name under which a screen is listed, or None if it is not."""
    shown = (type(screen).__module__, type(screen).__name__)
    return next((name for name, entry in SCREENS.items() if entry[:2] == shown), None)
