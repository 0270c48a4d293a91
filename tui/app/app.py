"""The full-screen `stitcher`: the screens on each other, and what leads from one to another."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import ClassVar, TypeVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from shared import ids
from shared.models import RunnerJob
from tui.app.event_pump import EventPump
from tui.client.feed import EventFeed
from tui.client.http import DaemonClient
from tui.screens import actions
from tui.screens.actions import JobAction
from tui.screens.base import BaseScreen
from tui.screens.help import key_actions
from tui.screens.jobs import JobsScreen
from tui.screens.rails_text import RailsNotice
from tui.screens.session import Connection
from tui.text.plain import plain
from tui.widgets.bar import DaemonStatus

Said = TypeVar("Said")


class _Rang(Message):
    """The feed has news."""


class StitcherApp(App[None]):
    """Everything on one terminal; the screens ask the daemon, and the ear says when.

    `acted` are the jobs that something was done to from here, whose outcome is told when its event comes.
    """

    CSS_PATH = "app.tcss"
    TITLE = "stitcher"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "open('tail')", "tail"),
        Binding("d", "open('deliveries')", "deliveries"),
        Binding("R", "open('rails')", "rails"),
        Binding("plus", "dispatch", "dispatch", show=False),
        Binding("P", "switch", "pause or resume", show=False),
        Binding("question_mark", "help", "keys"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self,
        daemon: DaemonClient,
        feed: EventFeed,
        *,
        config: Path,
        clock: Callable[[], int] = ids.now_ms,
        job: str | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.daemon = daemon
        self.config = config
        self.clock = clock
        self.link = Connection()
        self.rails = ""
        self.vitals = DaemonStatus()
        self.notice: RailsNotice | None = None
        self.acted: set[str] = set()
        self.ear = EventPump(self, feed)
        self._feed = feed
        self._first_job = job

    def get_default_screen(self) -> Screen[None]:
        """Return the screen that all others lie on."""
        return JobsScreen()

    def on_mount(self) -> None:
        """Begin to listen."""
        self._feed.listen(lambda: self.post_message(_Rang()))
        self.set_interval(1.0, self.ear.beat)
        if self._first_job:
            self.open_job(self._first_job)

    def on_unmount(self) -> None:
        """Listen no more."""
        self._feed.stop()

    def on__rang(self) -> None:
        """Look into the feed."""
        self.ear.rang()

    def tell(self, message: Callable[[], Message]) -> None:
        """Tell every screen, also those that are covered."""
        for screen in self.screen_stack:
            if isinstance(screen, BaseScreen):
                screen.post_message(message())

    async def ask(self, question: Callable[..., Said], *given: object) -> Said:
        """Ask the daemon in a thread; raises what the client raises."""
        return await asyncio.to_thread(question, *given)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Say something that passes by."""
        self.notify(plain(text), severity="error" if wrong else "information", markup=False)

    def steer(self, act: JobAction, jobs: list[RunnerJob]) -> None:
        """Do something to jobs, after a question."""
        self.run_worker(actions.run_action(self, act, jobs), group="steer")

    def steer_all(self, act: JobAction, q: str) -> None:
        """Do something to every job that a filter means, after a question."""
        self.run_worker(actions.run_bulk_action(self, act, q), group="steer")

    def export_jobs(self, query: tuple[tuple[str, str], ...]) -> None:
        """Write the jobs of a list to a file in the present directory."""
        self.run_worker(actions.export_jobs(self, query), group="export", exclusive=True)

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, through the terminal."""
        self.copy_to_clipboard(text)
        self.notify(f"copied {plain(text)}", markup=False, timeout=2)

    def action_dispatch(self) -> None:
        """Start a job by hand, and open it."""
        self.run_worker(actions.dispatch_job(self), group="dispatch")

    def action_switch(self) -> None:
        """Let nothing new start, or let jobs start again, after a question."""
        self.run_worker(actions.toggle_pause(self), group="steer")

    def action_health(self) -> None:
        """Say what is not well."""
        for check in self.vitals.readiness.checks:
            if not check.ok:
                self.say(f"{check.name}: {check.detail}", wrong=True)

    def open_job(self, job_id: str) -> None:
        """Show one job."""
        self._push("job", "JobScreen", job_id)

    def show_why(self, subject: str) -> None:
        """Show the decision behind a job or a delivery."""
        self._push("why", "WhyScreen", subject)

    def action_open(self, name: str, *given: object) -> None:
        """Show another screen, or go back to it."""
        self._push(name, f"{name.capitalize()}Screen", *given)

    def action_help(self) -> None:
        """Show the keys of this screen."""
        self._push("help", "HelpScreen", self.screen)

    def _push(self, module: str, name: str, *given: object) -> None:
        """Open a screen; its module is imported now, since the first paint does not wait for screens not shown."""
        screen = getattr(import_module(f"tui.screens.{module}"), name)
        if not given and any(isinstance(covered, screen) for covered in self.screen_stack):
            while not isinstance(self.screen, screen):
                self.pop_screen()
            return
        self.push_screen(screen(*given))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what leads elsewhere."""
        if action == "open":
            return type(self.screen).__name__ != f"{str(parameters[0]).capitalize()}Screen"
        return True

    def action_all_jobs(self) -> None:
        """Go back to the list of jobs."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer what the keys do, by the names that they have on a command line."""
        yield SystemCommand("Jobs", "the list of all jobs · stitcher ls", self.action_all_jobs)
        for deed in key_actions(screen):
            if deed.possible and not deed.moves:
                name = f"{deed.what[0].upper()}{deed.what[1:]}"
                yield SystemCommand(name, deed.help, partial(self.simulate_key, deed.keys[0]))
        yield from (command for command in super().get_system_commands(screen) if command.title != "Keys")
