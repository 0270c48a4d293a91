"""One job: its steps in time, the output of each, its events, its decision, its prompt."""

import asyncio
from functools import partial
from time import monotonic
from typing import ClassVar

from msgspec import UNSET
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical

from shared import ids
from shared.models import OPEN, JobEvent, RunnerJob
from tui.client import Unreachable, decode, job_path
from tui.messages import Began, EventsCame, Link
from tui.plain import plain
from tui.screens.room import REFUSALS, Room, crumb
from tui.screens.steering import ACTS, fitting
from tui.widgets import pages
from tui.widgets.bar import Bar, Word
from tui.widgets.find_bar import FindBar
from tui.widgets.job_words import PAGES, facts, name, page_words
from tui.widgets.lines import Lines, Painted
from tui.widgets.log_view import LogView
from tui.widgets.rows import Rows
from tui.widgets.step_list import StepList
from tui.widgets.step_row import NAME, TIME, axis
from tui.wording import taken

PACE = 0.2  # seconds between two looks at the daemon
KEPT = 2000  # events that are shown; stitcher tail has them all


class JobScreen(Room):
    """What one job did and does."""

    CSS_PATH = "job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", title.lower(), show=False) for at, title in enumerate(PAGES, 1)],
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("f", "follow", "follow"),
        Binding("slash", "find", "find", priority=True),
        Binding("n", "again(0)", "next", show=False),
        Binding("N", "again(1)", "previous", show=False),
        Binding("w", "page(4)", "why", show=False),
        Binding("o", "pager", "pager", show=False),
        Binding("y", "copy", "copy id", show=False),
    ]

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self._subject = job_id
        self._job: RunnerJob | None = None
        self._document = b""
        self._events: dict[int, JobEvent] = {}
        self._page = 1
        self._log_of: str | None = None
        self._asking = False
        self._stale = True
        self._asked_at = 0.0

    def body(self) -> ComposeResult:
        """Put the steps beside the panel, or over it where the screen is narrow."""
        yield Bar(id="facts")
        with Container(id="parts"):
            with Vertical(id="left"):
                yield Bar(id="axis")
                yield StepList(self.house.clock, id="steps")
            with Vertical(id="panel"):
                yield Bar(id="says")
                yield LogView(id="log")
                yield Painted(id="page")
                yield FindBar(id="typing")
        yield Bar(id="pages")

    def title_words(self) -> list[Word]:
        """Return the way here, and what the job is."""
        words: list[Word] = [crumb("Jobs")]
        job = self._job
        if job is None:
            return [*words, (plain(ids.short(self._subject)), "bold", "")]
        return [*words, *name(job)]

    def on_mount(self) -> None:
        """Ask for the job."""
        self.query_one("#page").display = False
        self.query_one(StepList).focus()
        self.set_interval(1.0, self._time_passes)
        self._look()

    @on(Began)
    def began(self) -> None:
        """Ask again: nothing that was known holds."""
        self._events.clear()
        self._stale = True
        self._look()

    @on(EventsCame)
    def events_came(self, message: EventsCame) -> None:
        """Ask again where something happened to this job; more output is read by the log itself."""
        mine = [event for event in message.events if self._job and event.job_id == self._job.id]
        if not mine:
            return
        self._events.update({event.id: event for event in mine})
        self._stale = self._stale or any(event.type != "step.output" for event in mine)
        if any(event.step_id == self._log_of for event in mine):
            self.query_one(LogView).poke()
        if self._page == 2:
            self._draw_page()
        self._look()

    def show_link(self, link: Link) -> None:
        """Ask again once the daemon is back."""
        super().show_link(link)
        if link.live:
            self._look()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self._redraw)

    def _look(self) -> None:
        if self._stale and not self._asking and self.house.link.live:
            self._asking = True
            self._keep_true()

    @work(group="job")
    async def _keep_true(self) -> None:
        try:
            while self._stale:
                await asyncio.sleep(self._asked_at + PACE - monotonic())
                self._stale, self._asked_at = False, monotonic()
                document = await self.ask(self.house.daemon.get, job_path(self._job.id if self._job else self._subject))
                self._show(document, decode(document, RunnerJob))
        except Unreachable:
            self._stale = True  # it is asked again when the daemon is back
        except REFUSALS as said:
            self.complain(said)
            if self._job is None:
                self.query_one("#facts", Bar).show([(f" {plain(str(said))}", "red", "")])
        finally:
            self._asking = False

    def _show(self, document: bytes, job: RunnerJob) -> None:
        self._document, self._job = document, job
        if job.events is not UNSET:
            self._events.update({event.id: event for event in job.events})
        while len(self._events) > KEPT:
            del self._events[min(self._events)]
        self.query_one(StepList).show(job)
        self._show_log()
        self._redraw()

    def _show_log(self) -> None:
        """Show the output of the step under the cursor."""
        step = self.query_one(StepList).step
        log = self.query_one(LogView)
        if step is None or self._job is None:
            return
        if step.id != self._log_of:
            self._log_of = step.id
            path = f"{job_path(self._job.id)}/steps/{step.id}/log"
            log.open(partial(self.house.daemon.part, path))
        elif step.completed_at is None:
            log.poke()
        self._say()

    def _redraw(self) -> None:
        """Draw everything around the steps."""
        job = self._job
        if job is None or not self.is_mounted:
            return
        self.show_title(self.house.link)
        steps = self.query_one(StepList)
        bars = steps.room - NAME - TIME - 3
        marks = f" {'STEPS':{NAME}} {taken(job, self.house.clock()):>{TIME}} "
        self.query_one("#axis", Bar).show(
            [(marks, "dim", ""), (axis(steps.time, bars) if bars > 15 else "", "dim", "")]
        )
        self.query_one("#facts", Bar).show([(f" {facts(job)}", "dim", "")])
        self.query_one("#pages", Bar).show(page_words(job, self._page))
        self._draw_page()
        self._say()
        self.hint()

    def _draw_page(self) -> None:
        page, job = self.query_one("#page", Painted), self._job
        if job is None or self._page == 1:
            return
        cells = max(page.room, 20)
        at_end = page.window[1] >= page.count - 1
        match self._page:
            case 2:
                page.show(pages.events(self._events[at] for at in sorted(self._events)))
                if at_end:
                    page.jump(page.count)
            case 3:
                page.show(pages.result(job, cells))
            case 4:
                page.show(pages.why(None if job.decision is UNSET else job.decision, cells))
            case 5:
                page.show(pages.prompt(job, cells))
            case _:
                page.show(pages.raw(self._document, cells))

    @on(LogView.Changed)
    def _say(self) -> None:
        """Say what the panel shows."""
        log = self.query_one(LogView)
        step = self.query_one(StepList).step
        if self._page > 1:
            self.query_one("#says", Bar).show([(f" {PAGES[self._page - 1].upper()}", "dim", "")])
            return
        what = f" LOG  {plain(step.name)}" if step else " LOG"
        tried = f" (try {step.try_})" if step and step.try_ else ""
        ended = f"  exit {step.exit_code}" if step and step.exit_code else ""
        note = log.note if log.text.lines else ""
        where = "following" if log.following and step and step.completed_at is None else log.position
        right = (f"{note} ", "yellow", "") if note else (f"{where} ", "dim", "")
        self.query_one("#says", Bar).show([(what + tried, "dim", ""), (ended, "red", "")], [right])

    @on(Rows.Moved)
    def moved(self) -> None:
        """Show the output of the step that is meant now."""
        self._show_log()

    @on(Rows.Opened)
    def opened(self) -> None:
        """Go to the output."""
        self.action_page(1)
        self.query_one(LogView).focus()

    def _time_passes(self) -> None:
        if self.is_current and self._job and self._job.status in OPEN and self.house.link.live:
            self.query_one(StepList).show(self._job)
            self._redraw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "act":
            return bool(self._job and fitting(ACTS[str(parameters[0])], [self._job]))
        if action in {"follow", "find", "again", "pager"}:
            return self._page == 1 and self.focused is not self.query_one(FindBar)
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny this job, after a question."""
        if self._job:
            self.house.steer(ACTS[verb], fitting(ACTS[verb], [self._job]))

    def action_page(self, page: int) -> None:
        """Show another page."""
        self._page = page
        self.query_one(LogView).display = page == 1
        shown = self.query_one("#page", Painted)
        shown.display = page > 1
        shown.jump(0)
        if self.focused is not self.query_one(StepList):
            self._panel().focus()
        self.call_after_refresh(self._redraw)

    def _panel(self) -> Lines:
        return self.query_one(LogView) if self._page == 1 else self.query_one("#page", Painted)

    def action_follow(self) -> None:
        """Go to the end of the output, and stay there."""
        self.query_one(LogView).action_last()
        self._say()

    def action_find(self) -> None:
        """Type what to look for in the output."""
        self.open_input(self.query_one(FindBar), self.query_one(LogView).pattern)

    @on(FindBar.Submitted)
    def find_entered(self, message: FindBar.Submitted) -> None:
        """Look for it."""
        log = self.query_one(LogView)
        self.close_input(self.query_one(FindBar), log)
        log.find(message.value, backward=log.following)

    @on(FindBar.Left)
    def find_left(self) -> None:
        """Look for nothing more."""
        self.close_input(self.query_one(FindBar), self.query_one(LogView))

    def action_again(self, backward: int) -> None:
        """Look for the same further on."""
        log = self.query_one(LogView)
        log.find(log.pattern, backward=bool(backward))

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        self.house.copy(self._job.id if self._job else self._subject)

    def action_pager(self) -> None:
        """Read the output in $PAGER."""
        if self._job and self._log_of:
            self.house.page_log(self._job.id, self._log_of)
