"""The full-screen `stitcher`: hears the feed, tells the screens, and does what leaves a screen."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import ClassVar

from textual import work
from textual.app import App, SuspendNotSupported, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from shared import ids
from shared.models import JobEvent, RailsState, RunnerJob
from tui.client import Daemon, decode, job_path
from tui.feed import Feed, Happened, Lost, Resumed, Snapshot
from tui.happenings import payload_text
from tui.messages import Began, EventsCame, Link, LinkChanged
from tui.plain import plain
from tui.screens.confirm import Confirm
from tui.screens.exporting import export_jobs, page_log
from tui.screens.jobs import JobsScreen
from tui.screens.room import REFUSALS, Room
from tui.screens.steering import Act, bulk, question, question_all, send
from tui.wording import count

BEAT = 1 / 15  # seconds between two looks into the feed, while there is much to see
OUTCOMES = {"job.cancelled": "is cancelled", "job.queued": "is queued again", "job.completed": "is completed",
            "job.failed": "failed"}  # fmt: skip


class _Rang(Message):
    """The feed has news."""


class StitcherApp(App[None]):
    """Everything on one terminal; the screens ask the daemon, and the feed says when."""

    CSS_PATH = "app.tcss"
    TITLE = "stitcher"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "open('tail')", "tail"),
        Binding("d", "open('deliveries')", "deliveries"),
        Binding("R", "open('rails')", "rails"),
        Binding("plus", "dispatch", "dispatch", show=False),
        Binding("question_mark", "help", "keys"),
        Binding("q", "quit", "quit"),
    ]

    def __init__(
        self, daemon: Daemon, feed: Feed, *, clock: Callable[[], int] = ids.now_ms, job: str | None = None
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.daemon = daemon
        self.clock = clock
        self.link = Link()
        self.rails = ""
        self._feed = feed
        self._first_job = job
        self._acted: set[str] = set()
        self._last_look = 0.0
        self._looking = False

    def get_default_screen(self) -> Screen[None]:
        """Return the screen that all others lie on."""
        return JobsScreen()

    def on_mount(self) -> None:
        """Begin to listen."""
        self._feed.listen(lambda: self.post_message(_Rang()))
        self.set_interval(1.0, self._count_down)
        if self._first_job:
            self.open_job(self._first_job)

    def on_unmount(self) -> None:
        """Listen no more."""
        self._feed.stop()

    def on__rang(self) -> None:
        """Look into the feed, though not more often than anybody can see."""
        if self._looking:
            return
        self._looking = True
        wait = self._last_look + BEAT - monotonic()
        if wait > 0:
            self.set_timer(wait, self._look)
        else:
            self._look()

    def _look(self) -> None:
        self._looking = False
        self._last_look = monotonic()
        for news in self._feed.take():
            match news:
                case Snapshot(meta, page):
                    self.tell(partial(Began, page))  # first, so that nobody asks for the page that is here
                    self._relink(Link(meta))
                    self.ask_rails()
                case Resumed(meta):
                    self._relink(Link(meta))
                case Lost(why, attempt, pause):
                    now = self.clock()
                    since = self.link.lost_at or now
                    self._relink(Link(self.link.meta, since, attempt, now + round(pause * 1000), why))
                case Happened(events):
                    self._hear(events)

    def _hear(self, events: list[JobEvent]) -> None:
        self.tell(partial(EventsCame, events))
        for event in events:
            if event.job_id in self._acted and event.type in OUTCOMES:
                self._acted.discard(event.job_id)
                self.notify(f"{plain(ids.short(event.job_id))} {OUTCOMES[event.type]}", markup=False)
        changes = [event for event in events if event.type.startswith("rails.")]
        if changes:
            self._announce(changes[-1])
            self.ask_rails()

    def _announce(self, change: JobEvent) -> None:
        """Tell that the rails are others, or that a newer text was refused."""
        said = f"{change.type.replace('.', ' ')}: {payload_text(change.payload)}"
        refused = change.type == "rails.rejected"
        self.notify(said, severity="error" if refused else "information", markup=False)

    def tell(self, message: Callable[[], Message]) -> None:
        """Tell every screen, also those that are covered."""
        for screen in self.screen_stack:
            if isinstance(screen, Room):
                screen.post_message(message())

    def _relink(self, link: Link) -> None:
        self.link = link
        self.tell(partial(LinkChanged, link))

    def _count_down(self) -> None:
        if self.link.lost_at is not None:
            self.tell(partial(LinkChanged, self.link))

    @work(group="rails", exclusive=True)
    async def ask_rails(self) -> None:
        """Show which rails are in force."""
        screen = self.screen_stack[0]
        if not isinstance(screen, Room):
            return
        try:
            state = decode(await screen.ask(self.daemon.get, "/rails"), RailsState)
        except REFUSALS:
            return  # the link says that it is lost; of a daemon without rails, the rails screen tells more
        revision = f"rails {plain(state.revision)}" if state.revision else "no rails"
        self.rails = f"▲ {revision}" if state.error else revision
        self.tell(partial(LinkChanged, self.link))

    @work(group="steer")
    async def steer(self, act: Act, jobs: list[RunnerJob]) -> None:
        """Ask, and do it; what becomes of it is told by the event."""
        if not jobs or not await self.push_screen_wait(Confirm(*question(act, jobs))):
            return
        self._acted.update(job.id for job in jobs)
        for complaint in await send(self.daemon, act, jobs):
            self.notify(complaint, severity="error", markup=False)

    @work(group="steer")
    async def steer_all(self, act: Act, q: str) -> None:
        """Ask, and do it to every job that a filter means; which those are is settled by the daemon."""
        try:
            found = await asyncio.to_thread(bulk, self.daemon, act, q, dry_run=True)
            if not any(item.ok for item in found.items):
                self.notify(f"there is nothing to {act.verb}", markup=False)
            elif await self.push_screen_wait(Confirm(*question_all(act, q, found))):
                done = await asyncio.to_thread(bulk, self.daemon, act, q, dry_run=False)
                self.notify(f"{act.verb}: {count(sum(item.ok for item in done.items), 'job')}", markup=False)
        except REFUSALS as said:
            self.notify(str(said), severity="error", markup=False)

    def copy(self, text: str) -> None:
        """Put a text on the clipboard, through the terminal."""
        self.copy_to_clipboard(text)
        self.notify(f"copied {plain(text)}", markup=False, timeout=2)

    @work(group="dispatch")
    async def action_dispatch(self) -> None:
        """Start a job by hand, and open it."""
        from tui.screens.dispatch import DispatchScreen  # noqa: PLC0415 (the form is not needed for the first paint)

        job_id = await self.push_screen_wait(DispatchScreen(self.daemon))
        if job_id:
            self.open_job(job_id)

    def page_log(self, job_id: str, step_id: str) -> None:
        """Show the output of a step in $PAGER, and come back."""
        try:
            with self.suspend():
                page_log(self.daemon, f"{job_path(job_id)}/steps/{step_id}/log")
        except (SuspendNotSupported, OSError, *REFUSALS) as said:
            self.notify(plain(str(said)), severity="error", markup=False)
        self.refresh()

    @work(group="export", exclusive=True)
    async def export_jobs(self, query: tuple[tuple[str, str], ...]) -> None:
        """Write the jobs of a list to a file in the present directory."""
        path = Path(f"stitcher-jobs-{ids.stamp(self.clock())[:19].replace(':', '')}.jsonl")
        try:
            number = await asyncio.to_thread(export_jobs, self.daemon, query, path)
        except (OSError, *REFUSALS) as said:
            self.notify(plain(str(said)), severity="error", markup=False)
        else:
            self.notify(f"{count(number, 'job')} in {plain(str(path))}", markup=False)

    def open_job(self, job_id: str) -> None:
        """Show one job."""
        self._push("job", "JobScreen", job_id)

    def show_why(self, subject: str) -> None:
        """Show the decision behind a job or a delivery."""
        self._push("why", "WhyScreen", subject)

    def action_open(self, name: str) -> None:
        """Show another screen, or go back to it."""
        self._push(name, f"{name.capitalize()}Screen")

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

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer what the keys do, by name."""
        for _, binding, enabled, _ in screen.active_bindings.values():
            if enabled and binding.description and binding.key not in {"q", "escape"}:
                press = partial(self.simulate_key, binding.key)
                yield SystemCommand(binding.description.capitalize(), f"key {binding.key}", press)
        yield from super().get_system_commands(screen)
