"""What every full screen has: its name, the state of the link, the keys that are legal now, and the way back."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from shared.ids import format_timestamp
from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.screens.session import Connection, SessionChanged
from tui.text.plain import plain
from tui.text.times import time_of_day
from tui.widgets.bar import STATUS_GAP, Bar, BarSegment, status_alarms
from tui.widgets.lines import LineView, RowView

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

Said = TypeVar("Said")

SMALLEST = (60, 15)
LAST = {"question_mark", "q"}  # keys whose hints stand at the right end


class BaseScreen(Screen[None]):
    """A screen between a title and the hints; while the daemon is lost, what it shows is dimmed and dated."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "back")]

    _hinting = False  # whether the keys are to be shown anew

    @property
    def house(self) -> "StitcherApp":
        """The app, by its own type."""
        return cast("StitcherApp", self.app)

    def compose(self) -> ComposeResult:
        """Put title, banner, body and hints under each other."""
        yield Bar(id="title")
        yield Bar(id="banner")
        yield from self.body()
        yield Bar(id="hints")
        yield Bar(id="small")

    def body(self) -> ComposeResult:
        """Return what is between title and hints."""
        raise NotImplementedError

    def title_words(self) -> list[BarSegment]:
        """Return what the title says."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show the frame at once; the rest comes when it is there."""
        self.query_one("#small", Bar).show([("stitcher needs a terminal of at least 60 by 15 cells", "", "")])
        self.show_connection(self.house.link)
        self.hint()

    def on_screen_resume(self) -> None:
        """Show what happened while another screen was on top."""
        self.show_connection(self.house.link)
        self.hint()

    def on_resize(self) -> None:
        """Leave out what has no room."""
        width, height = self.size
        self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-small")
        self.set_class(width < 100, "-narrow")
        self.set_class(width < 80 or height < 20, "-tiny")

    @on(SessionChanged)
    def session_changed(self, message: SessionChanged) -> None:
        """Show that the daemon was lost, or is back."""
        self.show_connection(message.link)

    def show_connection(self, link: Connection) -> None:
        """Draw title and banner."""
        self.show_title(link)
        banner = self.query_one("#banner", Bar)
        lost = link.lost_at is not None
        banner.display = lost
        if lost:
            banner.show([(_lost_text(link, self.house.clock()), "reverse yellow", "")])
        for lines in self.query(LineView):
            lines.fade(faded=lost and link.meta is not None)

    def show_title(self, link: Connection) -> None:
        """Draw the title."""
        self.query_one("#title", Bar).show(self.title_words(), self.state_words(link))

    def state_words(self, link: Connection) -> list[BarSegment]:
        """Return how the daemon is: heard or not, what keeps work from going, and its rails."""
        rails = self.house.rails
        return [
            _state_word(link),
            *status_alarms(self.house.vitals),
            (f"{rails} " * bool(rails), "dim", "app.open('rails')"),
        ]

    @on(RowView.Moved)
    def refresh_hints_soon(self) -> None:
        """Show the keys that do something now, once for all that moves before the next picture."""
        if not self._hinting:
            self._hinting = True
            self.call_after_refresh(self.hint)

    def hint(self) -> None:
        """Show the keys that do something now; what changes a job comes first, and the key that tells all stays."""
        self._hinting = False
        first: list[BarSegment] = [(" ", "", "")]
        words: list[BarSegment] = []
        last: list[BarSegment] = []
        seen = set()
        for key, (_, binding, enabled, _) in self.active_bindings.items():
            if binding.show and enabled and binding.action not in seen:
                seen.add(binding.action)
                press = f"screen.press('{key}')"
                hint = [(key_name(key), "accent", press), (f" {binding.description}  ", "", press)]
                changes = key == "enter" or binding.action.startswith("act(")
                (last if key in LAST else first if changes else words).extend(hint)
        self.query_one("#hints", Bar).show([*first, *words], last)

    def open_input(self, field: Input, text: str) -> None:
        """Show a field that is there already, and have it take the very next key: who types fast hits no command.

        For that the binding has to be one with priority: other keys are handed to the focused widget as they come.
        """
        field.value = text
        field.display = True
        self.set_focus(field)
        field.action_end()

    def close_input(self, field: Input, back: Widget) -> None:
        """Hide a field, and give the keys back."""
        field.display = False
        self.set_focus(back)

    async def ask(self, question: Callable[..., Said], *given: object) -> Said:
        """Ask the daemon in a thread; raises what the client raises."""
        return await asyncio.to_thread(question, *given)

    def show_error(self, said: Exception) -> None:
        """Show why the daemon did not do it; that it is gone is said by the banner."""
        if not isinstance(said, DaemonUnreachable):
            self.notify(str(said), severity="error", markup=False)

    def action_press(self, key: str) -> None:
        """Press a key, for who clicked on its hint."""
        self.app.simulate_key(key)

    def action_back(self) -> None:
        """Go back to where this screen was opened."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()


REFUSALS = (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8)
_KEYS = {"question_mark": "?", "plus": "+", "slash": "/", "ampersand": "&", "escape": "esc"}


def crumb(name: str) -> BarSegment:
    """Return the first word of a title: where `esc` leads."""
    return (f" {name} \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ", "dim", "screen.back")


def key_name(key: str) -> str:
    """Return a key as people write it."""
    return _KEYS.get(key, key.replace("ctrl+", "^"))


def _state_word(link: Connection) -> BarSegment:
    if link.live:
        return (f"● live{STATUS_GAP}", "green", "")
    return (f"○ connecting{STATUS_GAP}", "dim", "") if link.lost_at is None else (f"○ lost{STATUS_GAP}", "yellow", "")


def _lost_text(link: Connection, now: int) -> str:
    since = max(now - (link.lost_at or now), 0) // 1000
    wait = max(link.retry_at - now + 999, 0) // 1000
    trying = f"trying again in {wait}s" if wait else "trying again"
    if link.meta is None:
        return f" {plain(link.why)} · {trying} (attempt {link.attempt})"
    return (
        f" daemon not reachable for {since // 60:02}:{since % 60:02} · {trying} (attempt {link.attempt})"
        f" · what you see is as of {time_of_day(format_timestamp(link.lost_at or now))[:8]}"
    )
