"""What there is to read of one job: its steps in time, and beside them a page, of which the log is the first."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message

from shared.models import JobEvent, RunnerJob
from tui.client import Daemon
from tui.plain import plain
from tui.screens.job_texts import JobDiff, JobEvents, StepLog
from tui.widgets import pages
from tui.widgets.bar import Bar, Word
from tui.widgets.job_words import PAGES
from tui.widgets.lines import Painted
from tui.widgets.log_view import LogView
from tui.widgets.output import Output
from tui.widgets.rows import Rows
from tui.widgets.searched import Page, view_of
from tui.widgets.step_list import StepList
from tui.widgets.step_row import NAME, TIME, axis
from tui.wording import taken

LOG, EVENTS, DIFF, WHY, _PROMPT, RAW, _RESULT = range(1, 8)


class JobBody(Container):
    """Steps, and the page that is read; told of the job and of its events, its texts ask the daemon themselves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", title.lower(), show=False) for at, title in enumerate(PAGES, 1)],
        Binding("w", f"page({WHY})", "why", show=False),
        Binding("x", "widen", "wide"),
        Binding("T", "times", "times", show=False),
        Binding("left_square_bracket", "step(-1)", "step before", show=False),
        Binding("right_square_bracket", "step(1)", "next step", show=False),
    ]

    class Turned(Message):
        """Another page is read."""

    def __init__(self, daemon: Daemon, steps: StepList) -> None:
        super().__init__(id="parts")
        self.page = LOG
        self.steps = steps
        self.log_output = StepLog(daemon)
        self.diff = JobDiff(daemon)
        self.events = JobEvents(daemon)
        self.text = Painted(id="page")
        for page in (self.log_output, self.events, self.diff, self.text):
            page.add_class("page")
        self.job: RunnerJob | None = None
        self.document = b""

    def compose(self) -> ComposeResult:
        """Put the steps beside the page, or over it where the screen is narrow."""
        with Vertical(id="left"):
            yield Bar(id="axis")
            yield self.steps
        with Vertical(id="panel"):
            yield Bar(id="says")
            yield self.log_output
            yield self.events
            yield self.diff
            yield self.text

    def on_mount(self) -> None:
        """Begin with the log."""
        self._only()
        self.steps.focus()

    @property
    def shown(self) -> Page:
        """The page that is read."""
        pages_: dict[int, Page] = {LOG: self.log_output, EVENTS: self.events, DIFF: self.diff}
        return pages_.get(self.page, self.text)

    @property
    def job_id(self) -> str:
        """The job's id; empty while nothing is known."""
        return self.job.id if self.job else ""

    def show(self, document: bytes, job: RunnerJob, events: Iterable[JobEvent]) -> None:
        """Show a job as it is now, and of its events those that are new."""
        self.document, self.job = document, job
        self.steps.show(job)
        self.events.add(events)
        self._open_texts()
        self.draw()

    def happened(self, events: list[JobEvent]) -> None:
        """Show what happened; more output is read by the log itself."""
        self.events.add(events)
        self.log_output.happened(events)
        self._say()

    def draw(self) -> None:
        """Draw what depends on the time and the width."""
        job = self.job
        if job is None:
            return
        steps = self.steps
        bars = steps.room - NAME - TIME - 3
        marks = f" {'STEPS':{NAME}} {taken(job, steps.now):>{TIME}} "
        self.query_one("#axis", Bar).show(
            [(marks, "dim", ""), (axis(steps.time, bars) if bars > 15 else "", "dim", "")]
        )
        if self.shown is self.text:
            self.text.show(pages.text_of(PAGES[self.page - 1], job, self.document, max(self.text.room, 20)))
        self._say()

    def _open_texts(self) -> None:
        """Read the texts of the step under the cursor, where they are others than those that are shown."""
        job, step = self.job, self.steps.step
        if job is None:
            return
        if step:
            self.log_output.show(job.id, step)
        if self.page == EVENTS:
            self.events.show(job.id)
        if self.page == DIFF:
            self.diff.show(job, step.attempt if step else job.attempt)
        self._say()

    @on(LogView.Changed)
    @on(Rows.Moved, "#events")
    def _say(self) -> None:
        """Say what the page shows, and where one is in it."""
        left: list[Word] = [(f" {PAGES[self.page - 1].upper()}", "dim", "")]
        right: Word = ("", "dim", "")
        shown = self.shown
        if isinstance(shown, Output):
            right = (f"{shown.note or shown.log_view.position} ", "yellow" if shown.note else "dim", "")
        elif shown is self.events:
            right = (f"{shown.count:,} of {shown.total:,} events ", "dim", "")
            left.append((f"  only: {plain(shown.filter)}" if shown.filter else "", "accent", ""))
        if self.page == LOG and (step := self.steps.step):
            tried = f" (try {step.try_})" if step.try_ else ""
            left = [(f" LOG  {plain(step.name)}{tried}", "dim", "")]
            left.append((f"  exit {step.exit_code}" if step.exit_code else "", "red", ""))
            if step.completed_at is None and self.log_output.log_view.following and not self.log_output.note:
                right = ("following ", "dim", "")
        self.query_one("#says", Bar).show(left, [right])

    @on(Rows.Moved, "#steps")
    def moved(self) -> None:
        """Show the output of the step that is meant now."""
        self._open_texts()

    @on(Rows.Opened, "#steps")
    def opened(self) -> None:
        """Go to the output."""
        self.action_page(LOG)
        view_of(self.shown).focus()

    @on(Rows.Opened, "#events")
    def opened_event(self) -> None:
        """Go to the step of an event, and to the place in its output."""
        event = self.events.event
        if event and event.step_id and self.steps.select(event.step_id):
            self.action_page(LOG)
            if event.type == "step.output" and isinstance(offset := event.payload.get("offset"), int):
                self.log_output.log_view.go_to(offset)

    def action_page(self, page: int) -> None:
        """Show another page."""
        elsewhere = not self.steps.has_focus
        self.page = page
        self._only()
        self.text.jump(0)
        if elsewhere:
            view_of(self.shown).focus()
        self._open_texts()
        self.post_message(self.Turned())

    def _only(self) -> None:
        for each in (self.log_output, self.events, self.diff, self.text):
            each.display = each is self.shown

    def action_widen(self) -> None:
        """Give the page the whole width, or the steps their place again."""
        self.toggle_class("-wide")
        (view_of(self.shown) if self.has_class("-wide") else self.steps).focus()
        self.screen.call_after_refresh(self.draw)

    def action_times(self) -> None:
        """Put times beside the output, or take them away."""
        self.log_output.show_times()

    def action_step(self, by: int) -> None:
        """Go to the next step in time, or to the one before."""
        self.steps.next_step(by)
