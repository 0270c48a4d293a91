"""All jobs, newest first: tabs, a filter, marks, and what can be done to them."""

import asyncio
from time import monotonic
from typing import ClassVar

import msgspec
from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from shared.models import JobPage, RunnerJob
from tui.board import Ask, Board
from tui.client import Daemon, Refused, Unreachable, decode
from tui.messages import Began, EventsCame, Link
from tui.plain import plain
from tui.screens.narrowing import TABS, Narrowing
from tui.screens.room import REFUSALS, Room
from tui.screens.steering import ACTS, APPROVE, CANCEL, RETRY, fitting
from tui.widgets.bar import Bar, Word
from tui.widgets.filter_bar import FilterBar
from tui.widgets.job_list import JobList
from tui.widgets.job_row import heading
from tui.widgets.rows import Rows

PACE = 0.25  # seconds between two looks at the daemon while events come in one after the other


class _Fault(msgspec.Struct):
    detail: str = ""
    column: int | None = None


class JobsScreen(Room):
    """The first screen, and the last one to leave."""

    CSS_PATH = "jobs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark"),
        Binding("A", "all", "mark all that fit", show=False),
        Binding("c", "act('cancel')", "cancel"),
        Binding("r", "act('retry')", "retry"),
        Binding("a", "act('approve')", "approve"),
        Binding("d", "act('deny')", "deny"),  # where nothing waits, the key is the app's: deliveries
        Binding("w", "why", "why"),
        Binding("slash", "filter", "filter", priority=True),
        Binding("y", "copy", "copy id", show=False),
        Binding("e", "export", "export as JSON lines", show=False),
        Binding("escape", "clear", "clear", show=False),
        *[Binding(str(at), f"tab({at})", name.lower(), show=False) for at, (name, _) in enumerate(TABS, 1)],
    ]

    def __init__(self) -> None:
        super().__init__()
        self._narrowing = Narrowing()
        self._counts: dict[str, int] = {}
        self._asked_at: dict[str | None, float] = {}
        self._begun = False  # the first page comes with the feed
        self._asking = False
        self._beats = 0
        self._everything = False  # every job that fits is marked, also those that are not here

    def body(self) -> ComposeResult:
        """Put tabs, filter, heading and list under each other."""
        yield Bar(id="tabs")
        yield Bar(id="filter")
        yield FilterBar(self._held, id="typing")
        yield Bar(id="fault")
        yield Bar(id="heading")
        yield JobList(Board(), self.house.clock, id="jobs")
        yield Bar(id="empty")

    def title_words(self) -> list[Word]:
        """Return the name of the place."""
        return [(" stitcher", "bold", ""), (" ─ jobs", "dim", "")]

    @property
    def jobs(self) -> JobList:
        """The list."""
        return self.query_one("#jobs", JobList)

    def on_mount(self) -> None:
        """Begin with what the feed has already."""
        self.set_interval(1.0, self._time_passes)
        self.jobs.focus()
        self._redraw()

    @on(Began)
    def began(self, message: Began) -> None:
        """Begin anew with the newest jobs; another tab or filter than all has to be asked for."""
        self._begun = True
        self.jobs.show(Board(self._narrowing.query))
        if self._narrowing.query:
            self._look()
        else:
            self.jobs.answered(Ask(None, len(message.page.items)), message.page)
        self._redraw()

    @on(EventsCame)
    def events_came(self, message: EventsCame) -> None:
        """Ask again for what is looked at and changed."""
        self.jobs.board.apply(message.events)
        self._look()

    @on(Rows.Moved)
    def moved(self) -> None:
        """Ask for what is looked at now."""
        self._look()
        self.query_one("#filter", Bar).show(*self._filter_words())

    def show_link(self, link: Link) -> None:
        """Ask again once the daemon is back."""
        super().show_link(link)
        if link.live:
            self._look()
        self._redraw()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._redraw()

    def _held(self) -> list[RunnerJob]:
        return self.jobs.board.held()

    def _look(self) -> None:
        if self._begun and not self._asking and self.house.link.live:
            self._asking = True
            self._keep_true()

    @work(group="jobs")
    async def _keep_true(self) -> None:
        """Ask until everything that is looked at is true, though not for the same again and again."""
        board = self.jobs.board
        try:
            while board is self.jobs.board and (ask := board.wish(*self.jobs.window)):
                await asyncio.sleep(self._asked_at.get(ask.before, 0.0) + PACE - monotonic())
                self._asked_at = {ask.before: monotonic()} if len(self._asked_at) > 9 else self._asked_at
                self._asked_at[ask.before] = monotonic()
                page = await self.ask(_page, self.house.daemon, board, ask)
                if board is self.jobs.board:
                    self.jobs.answered(ask, page)
                    self._redraw()
        except Unreachable:
            return  # it is asked again when the daemon is back
        except REFUSALS as said:
            board.give_up()
            self._say_fault(said)
        finally:
            self._asking = False
        if board is not self.jobs.board:
            self._look()

    def _say_fault(self, said: Exception) -> None:
        if not (isinstance(said, Refused) and self._narrowing.filter):
            self.complain(said)
            return
        fault = msgspec.json.decode(said.document, type=_Fault)
        offset = len(" / ") + (fault.column or 1) - 1
        self.query_one("#fault", Bar).show([(" " * offset + "▲ " + plain(fault.detail), "red", "")])
        self.query_one("#fault").display = True
        self._redraw()

    def _redraw(self) -> None:
        """Draw everything around the list."""
        if not self.is_mounted:
            return
        jobs = self.jobs
        self._counts = jobs.board.counts or self._counts
        self.query_one("#tabs", Bar).show(self._narrowing.tab_words(self._counts))
        self.query_one("#filter", Bar).show(*self._filter_words())
        self.query_one("#heading", Bar).show([(text, style, "") for text, style in heading(jobs.room)])
        empty = self.query_one("#empty", Bar)
        empty.display = jobs.board.loaded and not jobs.count
        if empty.display:
            empty.show([("  " + self._narrowing.why_empty(self._counts), "dim", "")])
        self.hint()

    def _filter_words(self) -> tuple[list[Word], list[Word]]:
        jobs = self.jobs
        text = plain(self._narrowing.filter) or "no filter"
        left = [(" / ", "accent", "screen.filter"), (text, "" if self._narrowing.filter else "dim", "screen.filter")]
        right: list[Word] = []
        if self._everything:
            right.append(("all that fit selected · c cancel · r retry   ", "accent", ""))
        elif jobs.marked:
            chosen = self._chosen()
            acts = [f"{act.verb[0]} {act.verb} {len(fit)}" for act in (CANCEL, RETRY) if (fit := fitting(act, chosen))]
            if waiting := fitting(APPROVE, chosen):
                acts.append(f"a/d {len(waiting)}")
            right.append((" · ".join([f"{len(jobs.marked)} selected", *acts]) + "   ", "accent", ""))
        if jobs.above:
            right.append((f"+{jobs.above} new   ", "green", "screen.top"))
        known = f"{jobs.count:,}{'+' if jobs.board.more else ''}"
        right.append((f"{known} shown   ↑newest ", "dim", "screen.top"))
        return left, right

    def _time_passes(self) -> None:
        self._beats += 1
        if self.is_current:
            self.jobs.tick(ages=self._beats % 15 == 0)

    def _ask_anew(self, narrowing: Narrowing) -> None:
        self._narrowing = narrowing
        self._everything = False
        self.query_one("#fault").display = False
        self.jobs.show(Board(self._narrowing.query))
        self._asked_at.clear()
        self._look()
        self._redraw()

    def _chosen(self) -> list[RunnerJob]:
        """Return the marked jobs, or the one under the cursor."""
        jobs = self.jobs
        found = map(jobs.board.known, jobs.marked) if jobs.marked else [jobs.current]
        return [job for job in found if job is not None]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer only what can be done."""
        if action == "filter":
            return self.focused is not self.query_one(FilterBar)
        if action == "act":
            act = ACTS[str(parameters[0])]
            return act.in_bulk if self._everything else bool(fitting(act, self._chosen()))
        if action in {"why", "copy", "mark"}:
            return self.jobs.count > 0
        return True

    def action_act(self, verb: str) -> None:
        """Cancel, retry, approve or deny what is marked, or what is under the cursor, after a question."""
        if self._everything:
            self.house.steer_all(ACTS[verb], self._narrowing.text)
            return
        self.house.steer(ACTS[verb], fitting(ACTS[verb], self._chosen()))

    def action_mark(self) -> None:
        """Mark a job."""
        self.jobs.action_mark()
        self._redraw()

    def action_all(self) -> None:
        """Mark every job that fits tab and filter, or no longer."""
        self._everything = not self._everything
        self._redraw()

    def action_tab(self, tab: int) -> None:
        """Show the jobs of another tab."""
        self._ask_anew(structs.replace(self._narrowing, tab=tab))

    def action_clear(self) -> None:
        """Take back marks, then the filter, then the tab."""
        if self.jobs.marked or self._everything:
            self._everything = False
            self.jobs.unmark()
            self._redraw()
        elif self._narrowing != Narrowing():
            self._ask_anew(Narrowing())

    def action_top(self) -> None:
        """Go to the newest job."""
        self.jobs.action_first()

    def action_copy(self) -> None:
        """Put the id under the cursor on the clipboard, through the terminal."""
        if self.jobs.current_id:
            self.house.copy(self.jobs.current_id)

    def action_export(self) -> None:
        """Write the jobs of this list to a file."""
        self.house.export_jobs(self.jobs.board.query)

    def action_why(self) -> None:
        """Show the decision behind the job under the cursor."""
        if self.jobs.current_id:
            self.house.show_why(self.jobs.current_id)

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one("#filter").display = False
        self.open_input(self.query_one(FilterBar), self._narrowing.filter)

    @on(FilterBar.Submitted)
    def filter_entered(self, message: FilterBar.Submitted) -> None:
        """Show what fits."""
        self._leave_filter()
        self._ask_anew(structs.replace(self._narrowing, filter=message.value.strip()))

    @on(FilterBar.Left)
    def filter_left(self) -> None:
        """Keep the filter that there was."""
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.close_input(self.query_one(FilterBar), self.jobs)
        self.query_one("#filter").display = True

    @on(Rows.Opened)
    def opened(self) -> None:
        """Open the job under the cursor."""
        if self.jobs.current_id:
            self.house.open_job(self.jobs.current_id)


def _page(daemon: Daemon, board: Board, ask: Ask) -> JobPage:
    paging = [("limit", str(ask.limit)), *([("before", ask.before)] if ask.before else [])]
    return decode(daemon.get("/runner-jobs", [*board.query, *paging]), JobPage)
