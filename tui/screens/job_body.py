"""The steps of one job and, beside them, the page that is read: its log first."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import msgspec
from msgspec import UNSET
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.message import Message

from shared import ids
from shared.models import JobEvent, JobStep, RunnerJob, Status
from tui.client import api
from tui.client.http import DaemonClient
from tui.screens.job_pages import ConversationPanel, JobDiff, JobEvents, RemoteStepLog, conversation_step
from tui.text import diffs
from tui.text.events import event_line
from tui.text.jobs import elapsed
from tui.text.plain import plain
from tui.widgets import log_text, pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.events import EventList
from tui.widgets.job_row import PAGE_TITLES
from tui.widgets.lines import RowView
from tui.widgets.log import LogView
from tui.widgets.log_panel import LogPanel
from tui.widgets.searchable import SearchablePage, focus_target
from tui.widgets.step_tree import NAME_CELLS, TIME_CELLS, StepTree, timeline_axis
from tui.widgets.text_view import TextView

LOG, EVENTS, DIFF, WHY, CONVERSATION, RAW, _RESULT = range(1, 8)


class JobBody(Container):
    """Steps and pages; the long pages request their texts from the daemon themselves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", title.lower(), show=False) for at, title in enumerate(PAGE_TITLES, 1)],
        Binding("w", f"page({WHY})", "why", show=False),
        Binding("x", "widen", "wide"),
        Binding("T", "times", "times", show=False),
        Binding("u", "raw", "raw output", show=False),
        Binding("left_square_bracket", "step(-1)", "step before", show=False),
        Binding("right_square_bracket", "step(1)", "next step", show=False),
    ]

    class PageChanged(Message):
        """Another page is shown."""

    def __init__(self, client: DaemonClient, steps: StepTree) -> None:
        super().__init__(id="parts")
        self.page = LOG
        self._client = client
        self.steps = steps
        self.step_log = RemoteStepLog(client)
        self.conversation = ConversationPanel(client)
        self.diff = JobDiff(client)
        self.events = JobEvents(client)
        self.text = TextView(id="page")
        for page in self._pages:
            page.add_class("page")
        self.job: RunnerJob | None = None
        self.document = b""

    def compose(self) -> ComposeResult:
        """Lay out the steps beside the page, or above it on a narrow screen."""
        with Vertical(id="left"):
            yield Bar(id="axis")
            yield self.steps
        with Vertical(id="panel"):
            yield Bar(id="position")
            yield from self._pages

    def on_mount(self) -> None:
        """Begin with the log."""
        self._display_page()
        self.steps.focus()

    @property
    def _pages(self) -> tuple[SearchablePage, ...]:
        return self.step_log, self.events, self.diff, self.conversation, self.text

    @property
    def shown(self) -> SearchablePage:
        """The page that is shown."""
        long_pages: dict[int, SearchablePage] = {LOG: self.step_log, EVENTS: self.events, DIFF: self.diff}
        if self.job and conversation_step(self.job, self.steps.step):
            long_pages[CONVERSATION] = self.conversation
        return long_pages.get(self.page, self.text)

    def show(self, document: bytes, job: RunnerJob, events: Iterable[JobEvent]) -> None:
        """Show the current state of a job, of which `document` is the JSON, and add its new events."""
        first = self.job is None
        self.document, self.job = document, job
        self.steps.show(job)
        if first and (page := _first_page(job)) != self.page:
            self.action_page(page)
        self.events.add(events)
        self._load_pages()
        self.draw()

    def add_events(self, events: list[JobEvent]) -> None:
        """Show new events; the log reads more output if they tell of any."""
        self.events.add(events)
        self.step_log.add_events(events)
        self.conversation.add_events(events)
        self._show_position()

    def draw(self) -> None:
        """Draw what depends on time and width."""
        job = self.job
        if job is None:
            return
        steps = self.steps
        bars = steps.line_width - NAME_CELLS - TIME_CELLS - 3
        marks = f" {'STEPS':{NAME_CELLS}} {elapsed(job, steps.now):>{TIME_CELLS}} "
        self.query_one("#axis", Bar).show(
            [(marks, "dim", ""), (timeline_axis(steps.timeline, bars) if bars > 15 and steps.count else "", "dim", "")]
        )
        if self.shown is self.text:
            self.text.show(
                pages.page_lines(PAGE_TITLES[self.page - 1], job, self.document, max(self.text.line_width, 20))
            )
        self._show_position()

    def _load_pages(self) -> None:
        """Request the texts of the step under the cursor, unless they are shown already."""
        job, step = self.job, self.steps.step
        if job is None:
            return
        if step:
            self.step_log.show(job.id, step)
        if self.page == EVENTS:
            self.events.show(job.id)
        if self.page == DIFF:
            self.diff.show(job, step.attempt if step else job.attempt)
        if self.page == CONVERSATION and (of_agent := conversation_step(job, step)):
            self.conversation.show(job.id, of_agent)
            self._display_page()  # it was the prompt until the first try
        self._show_position()

    @on(LogView.Changed)
    @on(RowView.Moved, "#events")
    def _show_position(self) -> None:
        """Show what the page is, and which part of it is visible."""
        left: list[BarSegment] = [(f" {PAGE_TITLES[self.page - 1].upper()}", "dim", "")]
        right: BarSegment = ("", "dim", "")
        shown = self.shown
        if isinstance(shown, LogPanel):
            place = " · ".join(filter(None, (shown.match, shown.log_view.position)))
            right = (f"{shown.note or place} ", "yellow" if shown.note else "dim", "")
        elif shown is self.events:
            events = f"{shown.count:,} of {shown.total:,} events"
            right = (f"{' · '.join(filter(None, (shown.note, events)))} ", "dim", "")
            left.append((f"  only: {plain(shown.filter)}" if shown.filter else "", "accent", ""))
        elif isinstance(shown, TextView):
            right = (f"{shown.note} ", "dim", "")
        if shown is self.conversation and (of_agent := self.conversation.step):
            left = [(f" CONVERSATION  {plain(of_agent.name)}{_try_of(of_agent)}", "dim", "")]
        if self.page == LOG and (step := self.steps.step):
            title = "RAW OUTPUT" if self.step_log.raw else "LOG"
            left = [(f" {title}  {plain(step.name)}{_try_of(step)}", "dim", "")]
            left.append((f"  exit {step.exit_code}" if step.exit_code else "", "red", ""))
            if (
                step.completed_at is None
                and self.step_log.log_view.following
                and not (shown.note or self.step_log.match)
            ):
                right = ("following ", "dim", "")
        self.query_one("#position", Bar).show(left, [right])

    @on(RowView.Moved, "#steps")
    def moved(self) -> None:
        """Show the output of the step under the cursor."""
        self._load_pages()

    @on(RowView.Opened, "#steps")
    def opened(self) -> None:
        """Focus the output."""
        self.action_page(LOG)
        focus_target(self.shown).focus()

    @on(RowView.Opened, "#events")
    def opened_event(self) -> None:
        """Go to the step of an event and, if the event is output, to its place in the log."""
        event = self.events.event
        if event and event.step_id and self.steps.select(event.step_id):
            self.action_page(LOG)
            if event.type == "step.output" and isinstance(offset := event.payload.get("offset"), int):
                self.step_log.log_view.go_to(offset)

    def action_page(self, page: int) -> None:
        """Show another page."""
        page_focused = not self.steps.has_focus
        self.page = page
        self._display_page()
        self.text.jump(0)
        self.text.end_search()
        if page_focused:
            focus_target(self.shown).focus()
        self._load_pages()
        self.post_message(self.PageChanged())

    def _display_page(self) -> None:
        for each in self._pages:
            each.display = each is self.shown

    def action_widen(self) -> None:
        """Give the page the full width, or show the steps again."""
        self.toggle_class("-wide")
        (focus_target(self.shown) if self.has_class("-wide") else self.steps).focus()
        self.screen.call_after_refresh(self.draw)

    def action_times(self) -> None:
        """Show or hide the times beside the output."""
        self.step_log.show_times()

    def action_raw(self) -> None:
        """Show what the agent wrote in the form of its own, or the output again."""
        self.action_page(LOG)
        self.step_log.toggle_raw()
        self._show_position()

    def action_step(self, by: int) -> None:
        """Go to the next step in time, or to the previous one."""
        self.steps.select_neighbour(by)

    def page_lines(self) -> Iterable[str]:
        """Return the whole page as plain lines; to iterate over a long one raises what the client raises."""
        if self.page == LOG:
            return map(log_text.log_line, self.step_log.source.lines())
        if self.page == DIFF:
            return map(diffs.diff_line, self.diff.source.lines())
        if self.shown is self.conversation:
            return map(log_text.log_line, self.conversation.source.lines())
        if self.page == EVENTS:
            return (_plain_event(reply.value) for reply in api.iter_job_events(self._client, self._job_id))
        return self.text.text

    def page_file(self) -> tuple[Path, Iterator[bytes]]:
        """Return a file name for the page, and its contents in chunks."""
        name = f"stitcher-{plain(ids.short_id(self._job_id))}"
        if self.page == LOG:
            return Path(f"{name}-{self.step_log.file_name}.log"), self.step_log.source.chunks()
        if self.page == DIFF:
            return Path(f"{name}.diff"), self.diff.source.chunks()
        if self.shown is self.conversation:
            return Path(f"{name}-conversation.txt"), self.conversation.source.chunks()
        if self.page == EVENTS:
            return Path(f"{name}-events.jsonl"), self._raw_events()
        if self.page == RAW:
            return Path(f"{name}.json"), iter((self.document, b"\n"))
        lines = (f"{line}\n".encode() for line in self.text.text)
        return Path(f"{name}-{PAGE_TITLES[self.page - 1].lower()}.txt"), lines

    def visible_text(self) -> str:
        """Return what is to be copied: the event under the cursor, the visible part of a long text, or the page."""
        page = self.shown
        if isinstance(page, EventList):
            return msgspec.json.encode(page.event).decode() if page.event else ""
        if isinstance(page, LogPanel):
            first, last = page.view.visible_rows
            rows = range(first, min(last + 1, page.view.count))
            return "\n".join("".join(text for text, _ in page.view.draw(row, 0)).rstrip() for row in rows)
        return "\n".join(page.text)

    def _raw_events(self) -> Iterator[bytes]:
        return (reply.raw + b"\n" for reply in api.iter_job_events(self._client, self._job_id))

    @property
    def _job_id(self) -> str:
        return self.job.id if self.job else ""


def _first_page(job: RunnerJob) -> int:
    """Return the page that a job is opened on: what it waits for, what it changed, or else its log."""
    if job.status is Status.PENDING:
        return WHY
    changed = job.result is not UNSET and job.result is not None and job.result.commit is not None
    return DIFF if job.status is Status.COMPLETED and changed else LOG


def _try_of(step: JobStep) -> str:
    return f" (try {step.try_})" if step.try_ else ""


def _plain_event(event: JobEvent) -> str:
    return "".join(text for text, _ in event_line(event, with_job=False))
