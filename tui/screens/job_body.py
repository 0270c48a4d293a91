"""What there is to read of one job: its steps in time, and beside them a page, of which the log is the first."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message

from shared import ids
from shared.models import JobEvent, RunnerJob
from tui.client import export
from tui.client.http import DaemonClient, decode
from tui.screens.job_pages import JobDiff, JobEvents, StepLog
from tui.text import diffs, events
from tui.text.jobs import elapsed
from tui.text.plain import plain
from tui.widgets import log_text, pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.events import EventList
from tui.widgets.job_row import PAGE_TITLES
from tui.widgets.lines import RowView, TextView
from tui.widgets.log import LogView
from tui.widgets.searchable import LogPanel, SearchablePage, focus_target
from tui.widgets.step_tree import NAME_CELLS, TIME_CELLS, StepTree, timeline_axis

# merged from tui.screens.job_taking: What can be taken out of a job's screen: the page that is read, as plain
# lines, as a file, or for the clipboard.

LOG, EVENTS, DIFF, WHY, _PROMPT, RAW, _RESULT = range(1, 8)


class JobBody(Container):
    """Steps, and the page that is read; told of the job and of its events, its texts ask the daemon themselves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", title.lower(), show=False) for at, title in enumerate(PAGE_TITLES, 1)],
        Binding("w", f"page({WHY})", "why", show=False),
        Binding("x", "widen", "wide"),
        Binding("T", "times", "times", show=False),
        Binding("left_square_bracket", "step(-1)", "step before", show=False),
        Binding("right_square_bracket", "step(1)", "next step", show=False),
    ]

    class Turned(Message):
        """Another page is read."""

    def __init__(self, daemon: DaemonClient, steps: StepTree) -> None:
        super().__init__(id="parts")
        self.page = LOG
        self.steps = steps
        self.log_output = StepLog(daemon)
        self.diff = JobDiff(daemon)
        self.events = JobEvents(daemon)
        self.text = TextView(id="page")
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
    def shown(self) -> SearchablePage:
        """The page that is read."""
        pages_: dict[int, SearchablePage] = {LOG: self.log_output, EVENTS: self.events, DIFF: self.diff}
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
        bars = steps.line_width - NAME_CELLS - TIME_CELLS - 3
        marks = f" {'STEPS':{NAME_CELLS}} {elapsed(job, steps.now):>{TIME_CELLS}} "
        self.query_one("#axis", Bar).show(
            [(marks, "dim", ""), (timeline_axis(steps.timeline, bars) if bars > 15 else "", "dim", "")]
        )
        if self.shown is self.text:
            self.text.show(
                pages.page_lines(PAGE_TITLES[self.page - 1], job, self.document, max(self.text.line_width, 20))
            )
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
    @on(RowView.Moved, "#events")
    def _say(self) -> None:
        """Say what the page shows, and where one is in it."""
        left: list[BarSegment] = [(f" {PAGE_TITLES[self.page - 1].upper()}", "dim", "")]
        right: BarSegment = ("", "dim", "")
        shown = self.shown
        if isinstance(shown, LogPanel):
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

    @on(RowView.Moved, "#steps")
    def moved(self) -> None:
        """Show the output of the step that is meant now."""
        self._open_texts()

    @on(RowView.Opened, "#steps")
    def opened(self) -> None:
        """Go to the output."""
        self.action_page(LOG)
        focus_target(self.shown).focus()

    @on(RowView.Opened, "#events")
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
            focus_target(self.shown).focus()
        self._open_texts()
        self.post_message(self.Turned())

    def _only(self) -> None:
        for each in (self.log_output, self.events, self.diff, self.text):
            each.display = each is self.shown

    def action_widen(self) -> None:
        """Give the page the whole width, or the steps their place again."""
        self.toggle_class("-wide")
        (focus_target(self.shown) if self.has_class("-wide") else self.steps).focus()
        self.screen.call_after_refresh(self.draw)

    def action_times(self) -> None:
        """Put times beside the output, or take them away."""
        self.log_output.show_times()

    def action_step(self, by: int) -> None:
        """Go to the next step in time, or to the one before."""
        self.steps.select_neighbour(by)


def plain_lines(body: JobBody, daemon: DaemonClient) -> Iterable[str]:
    """Return the whole page, plain; where the daemon has to be asked, what it raises comes while one reads."""
    if body.page == LOG:
        return export.iter_lines(daemon, body.log_output.path, log_text.log_line)
    if body.page == DIFF:
        return export.iter_lines(daemon, body.diff.path, diffs.diff_line)
    if body.page == EVENTS:
        return map(_event_line, export.iter_raw_events(daemon, body.job_id))
    return body.text.text


def page_file(body: JobBody, daemon: DaemonClient) -> tuple[Path, Iterator[bytes]]:
    """Return a name in the present directory for the page, and what is to be written there."""
    name = f"stitcher-{plain(ids.short_id(body.job_id))}"
    if body.page == LOG:
        return Path(f"{name}-{body.log_output.name}.log"), export.iter_chunks(daemon, body.log_output.path)
    if body.page == DIFF:
        return Path(f"{name}.diff"), export.iter_chunks(daemon, body.diff.path)
    if body.page == EVENTS:
        return Path(f"{name}-events.jsonl"), (event + b"\n" for event in export.iter_raw_events(daemon, body.job_id))
    if body.page == RAW:
        return Path(f"{name}.json"), iter((body.document, b"\n"))
    return Path(f"{name}-{PAGE_TITLES[body.page - 1].lower()}.txt"), (f"{line}\n".encode() for line in body.text.text)


def visible_text(body: JobBody) -> str:
    """Return what is to be copied: the event that is meant, the part of a long text that is seen, or all of a page."""
    page = body.shown
    if isinstance(page, EventList):
        return msgspec.json.encode(page.event).decode() if page.event else ""
    if isinstance(page, LogPanel):
        first, last = page.view.visible_rows
        rows = range(first, min(last + 1, page.view.count))
        return "\n".join("".join(text for text, _ in page.view.draw(row, 0)).rstrip() for row in rows)
    return "\n".join(page.text)


def _event_line(event: bytes) -> str:
    return "".join(text for text, _ in events.event_line(decode(event, JobEvent), with_job=False))
