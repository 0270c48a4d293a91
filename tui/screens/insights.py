"""The screen of statistics: bars of what became of jobs, their times and costs, and what fails most."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from shared.stats import Grouping, Stats, StatsItem
from tui.client import api
from tui.client.http import DaemonClient
from tui.screens.base import breadcrumb
from tui.screens.refreshing import RefreshingScreen
from tui.screens.session import EventsReceived, Session, SnapshotReceived
from tui.text.jobs import counted, token_count
from tui.text.stats import dollars, ended, group_filter, group_name, share
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.lines import RowView
from tui.widgets.stats import GROUP_KEYS, StatsList, gate_lines
from tui.widgets.text_view import TextView

PERIODS = {Grouping.HOUR: timedelta(hours=48)}  # of others: two weeks
PERIOD = timedelta(days=14)
MOST_FAILED = 3  # repositories that are named
COUNTED = ("job.completed", "job.failed", "job.cancelled", "job.denied", "gate.", "ai.tokens_used")


class InsightsScreen(RefreshingScreen):
    """Groups as bars, above the gates of the group under the cursor."""

    REPEAT_SECONDS = 1.0
    CSS = """
    InsightsScreen {
        #list { height: 1fr; }
        #empty { display: none; }
        #gates { height: 7; }
        #gates-title, #failed { margin-top: 1; }
        &.-narrow #gates { height: 4; }
        &.-tiny #gates, &.-tiny #gates-title, &.-tiny #failed { display: none; }
    }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._by = Grouping.DAY
        self._stats: Stats | None = None
        self._repositories: Stats | None = None

    def body(self) -> ComposeResult:
        """Stack the groupings, the sum, the groups, and the gates of one of them."""
        yield Bar(id="groupings")
        yield Bar(id="sum")
        yield Bar(id="heading")
        with Vertical(id="list"):
            yield StatsList(id="stats")
            yield Bar(id="empty")
        yield Bar(id="gates-title")
        gates = TextView(id="gates")
        gates.can_focus = False
        yield gates
        yield Bar(id="failed")

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, the name of the screen, and the period."""
        period = "last 48 hours" if self._by in PERIODS else "last 14 days"
        return [breadcrumb("Jobs"), ("insights", "bold", ""), (f"  {period}, in UTC", "dim", "")]

    @property
    def groups(self) -> StatsList:
        """The list of groups."""
        return self.query_one(StatsList)

    def on_mount(self) -> None:
        """Focus the groups."""
        self.groups.focus()
        self._show_groupings()

    def on_resize(self) -> None:
        """Draw for the new width."""
        self.call_after_refresh(self._draw)

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request the statistics again."""
        self.refresh_data()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request the statistics again if something was counted."""
        if any(event.type.startswith(COUNTED) for event in message.events):
            self.refresh_data()

    async def load(self, *, stale: bool) -> None:  # noqa: ARG002 (all of it is stale)
        """Request and show the statistics."""
        by, now = self._by, datetime.fromtimestamp(self.session.clock() / 1000, UTC)
        stats, repositories = await self.session.call(_stats, by, now - PERIODS.get(by, PERIOD))
        if by is self._by:
            self._stats, self._repositories = stats, repositories
            self.groups.show(stats, now)
            self._draw()

    def _show_groupings(self) -> None:
        segments: list[BarSegment] = [(" ", "", "")]
        for key, by in GROUP_KEYS.items():
            here, press = by is self._by, f"screen.press('{key}')"
            segments += [(f" {key} ", "accent" if here else "dim", press), (f"{by} ", "bold" if here else "", press)]
        self.query_one("#groupings", Bar).show(segments)

    def _draw(self) -> None:
        stats = self._stats
        if stats is None:
            return
        empty = self.query_one("#empty", Bar)
        empty.display = not stats.items
        self.groups.display = bool(stats.items)
        empty.show([(f"  no job has ended since {group_name(Grouping.HOUR, stats.since[:16])} UTC", "dim", "")])
        self.query_one("#sum", Bar).show(_sum_segments(stats) if stats.items else [])
        heading = self.groups.heading(self.groups.line_width) if stats.items else []
        self.query_one("#heading", Bar).show([(text, style, "") for text, style in heading])
        failed = self._repositories.items if self._repositories and stats.items else ()
        self.query_one("#failed", Bar).show(_failed_segments(failed) if stats.items else [])
        self._draw_gates()
        self.show_hints()

    @on(RowView.Moved)
    def _draw_gates(self) -> None:
        """Show the gates of the group under the cursor."""
        row = self.groups.row if self._stats and self._stats.items else None
        gates = row.item.gates if row and row.item else ()
        name = group_name(self._by, row.key) if row else ""
        found = f" GATES  {name}, the slowest first" if gates else f" GATES  {name}: none ran" if row else ""
        self.query_one("#gates-title", Bar).show([(found, "dim", "")])
        self.query_one("#gates", TextView).show(gate_lines(gates))

    def action_group(self, by: str) -> None:
        """Group by another fact."""
        self._by = Grouping(by)
        self._show_groupings()
        self.show_title()
        self.refresh_data()

    @on(RowView.Opened)
    def opened(self) -> None:
        """Show the jobs that the group counts."""
        row = self.groups.row
        if row and self._stats:
            self.session.show_jobs(group_filter(self._stats.by, row.key, self._stats.since))


def _stats(client: DaemonClient, by: Grouping, since: datetime) -> tuple[Stats, Stats]:
    """Return the statistics of the groups, and those of repositories."""
    found = api.get_stats(client, by, since).value
    same = by is Grouping.REPOSITORY
    return found, found if same else api.get_stats(client, Grouping.REPOSITORY, since).value


def _sum_segments(stats: Stats) -> list[BarSegment]:
    """Return what all groups come to."""
    items = stats.items
    first, later = sum(item.tries.first for item in items), sum(item.tries.later for item in items)
    tokens, cost = sum(item.input_tokens + item.output_tokens for item in items), sum(item.cost_usd for item in items)
    failed = sum(item.jobs.failed for item in items)
    return [
        (f" {counted(sum(map(ended, items)), 'job')} ended", "bold", ""),
        (f"  {sum(item.jobs.completed for item in items):,} completed", "green", ""),
        (f"  {failed:,} failed", "red" if failed else "dim", ""),
        (f"  {sum(item.jobs.cancelled for item in items):,} cancelled", "dim", ""),
        (f"    first try passes {share(first, first + later)}", "", ""),
        (f"    {token_count(tokens)} tokens", "dim", ""),
        (f"    {dollars(cost)} in all", "", ""),
    ]


def _failed_segments(repositories: Sequence[StatsItem]) -> list[BarSegment]:
    """Return the repositories in which most jobs failed."""
    worst = sorted((item for item in repositories if item.jobs.failed), key=lambda item: -item.jobs.failed)
    named = [f"{group_name(Grouping.REPOSITORY, item.key)} {item.jobs.failed:,}" for item in worst[:MOST_FAILED]]
    return [(" MOST FAILED  ", "dim", ""), (" · ".join(named) or "none", "red" if named else "dim", "")]
