"""A filter gets a name, and loses it: the views of a user, from the screen."""

from typing import TYPE_CHECKING

from tui.screens.answering import Answer
from tui.screens.confirm import Confirm
from tui.views import MOST, NAME, ViewError, load, save

if TYPE_CHECKING:
    from tui.app import StitcherApp


def known(app: "StitcherApp") -> dict[str, str]:
    """Return the views that there are; where their file cannot be read, say so and return none."""
    try:
        return load(app.config)
    except ViewError as said:
        app.say(str(said), wrong=True)
        return {}


async def keep(app: "StitcherApp", text: str) -> dict[str, str] | None:
    """Ask for a name, and keep a filter under it; returns all views, or None where it was not kept."""
    lines = [
        [("filter  ", "dim"), (text, "accent")],
        [],
        [("It becomes a tab, and @name means it in every filter.", "dim")],
    ]
    name = await app.push_screen_wait(Answer("Save this as a view?", lines, hint="a name", needed=True))
    if name is None:
        return None
    name = name.removeprefix("@")
    if not NAME.fullmatch(name):
        app.say(f"{name} is no name for a view: small letters, digits, - and _, at most 20", wrong=True)
        return None
    views = known(app)
    if name not in views and len(views) >= MOST:
        app.say(f"there are {MOST} views already: forget one first, with X on its tab", wrong=True)
        return None
    return _written(app, {**views, name: text})


async def forget(app: "StitcherApp", name: str) -> dict[str, str] | None:
    """Ask, and forget a view; returns those that are left, or None where it was not forgotten."""
    if not await app.push_screen_wait(Confirm(f"Forget the view @{name}?", [[("Its jobs stay as they are.", "dim")]])):
        return None
    return _written(app, {other: text for other, text in known(app).items() if other != name})


def _written(app: "StitcherApp", views: dict[str, str]) -> dict[str, str] | None:
    try:
        save(app.config, views)
    except OSError as error:
        app.say(f"the views cannot be kept: {error}", wrong=True)
        return None
    return views
