"""The full-screen `stitcher`: a stack of screens over one session with the daemon."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import ClassVar

from msgspec import structs
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.theme import Theme

from shared import ids
from tui.app.alerts import Alerts
from tui.app.event_pump import EventPump
from tui.client.feed import FeedReader
from tui.client.http import DaemonClient
from tui.client.preferences import save_theme
from tui.screens import screen_bindings, screen_name
from tui.screens.actions import toggle_pause
from tui.screens.help import HelpScreen, key_actions
from tui.screens.jobs import JobsScreen
from tui.screens.session import Session
from tui.widgets.themes import LIGHT, theme_name


class _FeedReady(Message):
    """The feed holds something to take."""


class StitcherApp(App[None]):
    """Textual application of the full-screen mode; `verbs` are the commands that its palette refers to.

    The screens request what they show from the daemon; the event pump tells them when.
    """

    CSS_PATH = "app.tcss"
    TITLE = "stitcher"
    BINDINGS: ClassVar[list[BindingType]] = [
        *screen_bindings(),
        Binding("P", "toggle_pause", "pause or resume", show=False),
        Binding("question_mark", "help", "keys"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self,
        client: DaemonClient,
        feed: FeedReader,
        *,
        config: Path,
        clock: Callable[[], int] = ids.now_ms,
        job: str | None = None,
        verbs: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.register_theme(LIGHT)
        self.animation_level = "none"
        self.session = Session(self, client, config=config, clock=clock)
        self._feed = feed
        self._alerts = Alerts(self, self.session, self._write_to_terminal)
        self._event_pump = EventPump(self, self.session, feed, self._alerts)
        self._first_job = job
        self._verbs = verbs

    def use_theme(self, name: str) -> bool:
        """Show the theme `dark`, `light`, or one of Textual by its name; return False if there is no such theme."""
        known = theme_name(name)
        if known in self.available_themes:
            self.theme = known
        return known in self.available_themes

    def get_default_screen(self) -> Screen[None]:
        """Return the screen below all others."""
        return JobsScreen(self.session)

    def on_mount(self) -> None:
        """Follow the feed, and open the job named on the command line."""
        self._feed.listen(lambda: self.post_message(_FeedReady()))
        self.set_interval(1.0, self._event_pump.tick)
        self.theme_changed_signal.subscribe(self, self._save_theme)
        if self._first_job:
            self.session.open("job", self._first_job)

    def _save_theme(self, theme: Theme) -> None:
        """Keep the theme that was selected in the palette for the next start."""
        try:
            save_theme(self.session.config, theme.name)
        except OSError as error:
            self.session.notify(f"the theme cannot be saved: {error}", error=True)

    def _write_to_terminal(self, sequence: str) -> None:
        """Write an escape sequence past the screen; Textual has a public way only for its own ones."""
        if self._driver is not None:
            self._driver.write(sequence)

    def on_unmount(self) -> None:
        """Stop the feed."""
        self._feed.stop()

    def on__feed_ready(self) -> None:
        """Read the feed."""
        self._event_pump.schedule()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the key of the screen that is shown."""
        return action != "open" or parameters[0] != screen_name(self.screen) or None

    def action_open(self, name: str) -> None:
        """Open a screen, or go back to it."""
        self.session.open(name)

    def action_toggle_pause(self) -> None:
        """Pause or resume the daemon, after a question."""
        self.session.start(toggle_pause(self.session), group="actions")

    def action_show_failing_checks(self) -> None:
        """Notify the user of each readiness check that fails."""
        for check in self.session.status.readiness.checks:
            if not check.ok:
                self.session.notify(f"{check.name}: {check.detail}", error=True)

    def action_help(self) -> None:
        """Show the keys of this screen."""
        self.push_screen(HelpScreen(self.screen))

    def action_all_jobs(self) -> None:
        """Go back to the list of jobs."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer in the palette what the keys do, with the verb of the command line that does the same."""
        alerts = self._alerts.settings
        for name, what in (("notices", "desktop notices"), ("bell", "the bell")):
            on = getattr(alerts, name)
            yield SystemCommand(
                f"Turn {what} {'off' if on else 'on'}",
                "for jobs that fail or begin to wait; it is kept",
                partial(self._alerts.select, structs.replace(alerts, **{name: not on})),
            )
        offered = {"Keys"}  # textual's own command for what `?` shows
        yield SystemCommand("Jobs", "the list of all jobs · stitcher ls", self.action_all_jobs)
        for action in key_actions(screen):
            if action.enabled and not action.scrolls:
                title = f"{action.description[0].upper()}{action.description[1:]}"
                offered.add(title)
                verb = f" · stitcher {action.description}" if action.description in self._verbs else ""
                yield SystemCommand(
                    title, f"key {action.key_names[0]}{verb}", partial(self.simulate_key, action.keys[0])
                )
        yield from (command for command in super().get_system_commands(screen) if command.title not in offered)
