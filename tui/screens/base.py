"""The frame of every full screen: title, connection state, hints for the keys that work now, and the way back."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from shared.ids import format_timestamp
from tui.client.http import DaemonUnreachable
from tui.screens.rails_text import RailsNotice
from tui.screens.session import DaemonConnection, Session, SessionChanged
from tui.text.plain import plain
from tui.text.times import time_of_day
from tui.widgets.bar import STATUS_GAP, Bar, BarSegment, status_alarms, total_width, whole_segments
from tui.widgets.lines import LineView, RowView

MIN_SIZE = (60, 15)  # cells
RIGHT_HINTS = {"question_mark", "q"}  # keys whose hints stand at the right end


class BaseScreen(Screen[None]):
    """A body between title and key hints; while the connection is lost, the body is dimmed and dated.

    Why the newest text of the rails is not in force is shown on every screen.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "back", "back")]

    _hints_scheduled = False

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session

    def compose(self) -> ComposeResult:
        """Stack title, banner, body and hints."""
        yield Bar(id="title")
        yield Bar(id="banner")
        yield Bar(id="notice")
        yield from self.body()
        yield Bar(id="hints")
        yield Static("stitcher needs a terminal of at least {} by {} cells".format(*MIN_SIZE), id="small")

    def body(self) -> ComposeResult:
        """Yield the widgets between title and hints."""
        raise NotImplementedError

    def title_segments(self) -> list[BarSegment]:
        """Return the left part of the title."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Show the frame at once; the body follows when its data arrives."""
        self.show_session()
        self.show_hints()

    def on_screen_resume(self) -> None:
        """Catch up with what changed while another screen was on top."""
        self.show_session()
        self.show_hints()

    def on_resize(self) -> None:
        """Set the classes by which style sheets leave things out on small terminals."""
        width, height = self.size
        self.set_class(width < MIN_SIZE[0] or height < MIN_SIZE[1], "-small")
        self.set_class(width < 100, "-narrow")
        self.set_class(width < 80 or height < 20, "-tiny")
        self.call_after_refresh(self.show_hints)

    @property
    def notice(self) -> RailsNotice | None:
        """What is to be known about the rails on this screen."""
        notice = self.session.notice
        return notice if notice is not None and notice.rejected else None

    @on(SessionChanged)
    def session_changed(self) -> None:
        """Show the state of the session."""
        self.show_session()

    def show_session(self) -> None:
        """Draw title, banner and notice."""
        self.show_title()
        connection = self.session.connection
        banner = self.query_one("#banner", Bar)
        lost = connection.lost_at is not None
        banner.display = lost
        if lost:
            banner.show([(_lost_text(connection, self.session.clock()), "reverse yellow", "")])
        notice, bar = self.notice, self.query_one("#notice", Bar)
        bar.display = notice is not None
        if notice is not None:
            bar.show(*notice.bar)
        for lines in self.query(LineView):
            lines.fade(faded=lost and connection.meta is not None)

    def show_title(self) -> None:
        """Draw the title."""
        self.query_one("#title", Bar).show(self.title_segments(), self.state_segments())

    def state_segments(self) -> list[BarSegment]:
        """Return the right part of the title: connection, what keeps work from going on, and the rails in force."""
        session = self.session
        rails = f"{session.rails_label} " * bool(session.rails_label)
        return [_state_segment(session.connection), *status_alarms(session.status), (rails, "dim", "app.open('rails')")]

    @on(RowView.Moved)
    def show_hints_soon(self) -> None:
        """Draw the hints once for all that moves before the next frame."""
        if not self._hints_scheduled:
            self._hints_scheduled = True
            self.call_after_refresh(self.show_hints)

    def show_hints(self) -> None:
        """Draw the hints of the keys that work now: first those that change a job, and the help key always.

        Hints for which there is no space are left out, the last ones first.
        """
        self._hints_scheduled = False
        first: list[list[BarSegment]] = []
        others: list[list[BarSegment]] = []
        right: list[list[BarSegment]] = []
        seen = set()
        for key, (_, binding, enabled, _) in self.active_bindings.items():
            if binding.show and enabled and binding.action not in seen:
                seen.add(binding.action)
                press = f"screen.press('{key}')"
                hint = [(key_name(key), "accent", press), (f" {binding.description}  ", "", press)]
                changes = key == "enter" or binding.action.startswith("act(")
                (right if key in RIGHT_HINTS else first if changes else others).append(hint)
        room = self.size.width - sum(map(total_width, right)) - 1
        shown = whole_segments([[(" ", "", "")], *first, *others], room)
        self.query_one("#hints", Bar).show(shown, [part for hint in right for part in hint])

    def open_input(self, field: Input, text: str) -> None:
        """Show an input and focus it before the next key is handled, so that fast typing triggers no command.

        The binding must have priority for that: other keys are sent to the focused widget as they arrive.
        """
        field.value = text
        field.display = True
        self.set_focus(field)
        field.action_end()

    def close_input(self, field: Input, focus: Widget) -> None:
        """Hide an input and give the focus back."""
        field.display = False
        self.set_focus(focus)

    def show_error(self, error: Exception) -> None:
        """Notify the user of an error; the banner shows a lost connection already."""
        if not isinstance(error, DaemonUnreachable):
            self.session.notify(str(error), error=True)

    def action_press(self, key: str) -> None:
        """Press the key whose hint was clicked."""
        self.app.simulate_key(key)

    def action_back(self) -> None:
        """Go back to the screen below."""
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()


_KEY_NAMES = {"plus": "+", "slash": "/", "minus": "-", "escape": "esc"}  # that Textual cannot name


def breadcrumb(name: str) -> BarSegment:
    """Return the first word of a title: the screen that `esc` leads to."""
    return (f" {name} \N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK} ", "dim", "screen.back")


def key_name(key: str) -> str:
    """Return a key as people write it."""
    character = key_to_character(key) or ""
    if character.isprintable() and not character.isspace() and character:
        return character
    return _KEY_NAMES.get(key, key.replace("ctrl+", "^"))


def _state_segment(connection: DaemonConnection) -> BarSegment:
    if connection.live:
        return (f"● live{STATUS_GAP}", "green", "")
    if connection.lost_at is None:
        return (f"○ connecting{STATUS_GAP}", "dim", "")
    return (f"○ lost{STATUS_GAP}", "yellow", "")


def _lost_text(connection: DaemonConnection, now: int) -> str:
    lost_at = connection.lost_at or now
    since = max(now - lost_at, 0) // 1000
    wait = max(connection.retry_at - now + 999, 0) // 1000
    trying = f"trying again in {wait}s" if wait else "trying again"
    if connection.meta is None:
        return f" {plain(connection.error)} · {trying} (attempt {connection.attempt})"
    return (
        f" daemon not reachable for {since // 60:02}:{since % 60:02} · {trying} (attempt {connection.attempt})"
        f" · what you see is as of {time_of_day(format_timestamp(lost_at))[:8]}"
    )
