"""Statistics as a list of groups with bars, and the gates of one group; hours and days without jobs are listed too."""

from datetime import datetime, timedelta
from typing import ClassVar

from msgspec import Struct
from textual.binding import Binding, BindingType

from shared.stats import GateStats, Grouping, Stats, StatsItem
from tui.text.jobs import DASH, token_count
from tui.text.plain import plain, truncate, width
from tui.text.stats import brief_duration, dollars, group_name, share
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine, StyledText

GAP = 2
NAME_MAX = 28  # cells of a name
BAR_MIN = 8  # cells
GATE_BAR = 15  # cells that stand for 100 %
GROUP_KEYS = {
    "d": Grouping.DAY,
    "h": Grouping.HOUR,
    "t": Grouping.TYPE,
    "r": Grouping.REPOSITORY,
    "e": Grouping.EXECUTOR,
}
_STEPS = {Grouping.DAY: timedelta(days=1), Grouping.HOUR: timedelta(hours=1)}
_KEY_FORMATS = {Grouping.DAY: "%Y-%m-%d", Grouping.HOUR: "%Y-%m-%dT%H:00Z"}
_COLUMNS = (  # with the width of the list below which each is left out
    ("DONE", 5, 0),
    ("FAILED", 6, 0),
    ("1ST TRY", 7, 70),
    ("TIME P50", 8, 0),
    ("P95", 6, 70),
    ("WAIT P50", 8, 100),
    ("P95", 6, 100),
    ("TOKENS", 6, 110),
    ("COST", 7, 0),
)


class StatsRow(Struct, frozen=True):
    """A group, and its statistics if anything was counted in it."""

    key: str
    item: StatsItem | None


def stats_rows(stats: Stats, now: datetime) -> list[StatsRow]:
    """Return the groups as they are listed: of hours and days the newest first, those of which nothing is known too."""
    if stats.by not in _STEPS:
        return [StatsRow(item.key, item) for item in stats.items]
    items = {item.key: item for item in stats.items}
    keys, at = set(items), datetime.fromisoformat(stats.since)
    while at <= now and len(keys) < 10_000:
        keys.add(at.strftime(_KEY_FORMATS[stats.by]))
        at += _STEPS[stats.by]
    return [StatsRow(key, items.get(key)) for key in sorted(keys, reverse=True)]


class StatsList(RowView):
    """Rows of groups; the screen chooses by what they are grouped."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(key, f"screen.group('{by}')", f"by {by}", show=False) for key, by in GROUP_KEYS.items()
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._by = Grouping.DAY
        self._rows: list[StatsRow] = []
        self._top = 1  # jobs of the longest bar

    @property
    def count(self) -> int:
        """The number of groups."""
        return len(self._rows)

    @property
    def row(self) -> StatsRow | None:
        """The group under the cursor."""
        return self._rows[self.cursor] if self._rows else None

    def show(self, stats: Stats, now: datetime) -> None:
        """Replace the groups; the cursor stays on its group where that is still listed."""
        before, same = self.row, self._by is stats.by
        self._by, self._rows = stats.by, stats_rows(stats, now)
        self._top = max((item.jobs.completed + item.jobs.failed for item in stats.items), default=0) or 1
        keys = [row.key for row in self._rows]
        self.cursor = keys.index(before.key) if same and before is not None and before.key in keys else 0
        self.recount()
        self.move(self.cursor)

    def heading(self, cells: int) -> StyledLine:
        """Return the line above the groups."""
        room = self._bar_cells(cells)
        name = f"{'':{GAP}}{self._by.upper():{self._name_cells}}{'':{GAP}}"
        bar = [("█", "green"), (" completed ", "dim"), ("▒", "red"), (" failed", "dim")]
        bars = sum(width(text) for text, _ in bar)
        legend = bar if room >= bars else [("█", "green"), ("▒", "red")]
        used = sum(width(text) for text, _ in legend)
        rest = "".join(f"{'':{GAP}}{title:>{size}}" for title, size in _columns(cells))
        return [(name, "dim"), *legend, (f"{'':{room - used}}{rest}", "dim")]

    def draw(self, at: int, cells: int) -> StyledLine:
        """Return the line of a group."""
        row = self._rows[at]
        size = self._name_cells
        name = truncate(group_name(self._by, row.key), size)
        start: StyledText = (f"{'':{GAP}}{name}{'':{size - width(name) + GAP}}", "" if row.item else "dim")
        room = self._bar_cells(cells)
        numbers = _numbers(row.item, [title for title, _ in _columns(cells)])
        failed = row.item.jobs.failed if row.item else 0
        rest = [
            (f"{'':{GAP}}{text:>{size}}", "red" if title == "FAILED" and failed else "" if row.item else "dim")
            for (title, size), text in zip(_columns(cells), numbers, strict=True)
        ]
        return [start, *self._bar(row.item, room), *rest]

    @property
    def _name_cells(self) -> int:
        longest = max((width(group_name(self._by, row.key)) for row in self._rows), default=0)
        return min(max(longest, len(self._by)), NAME_MAX)

    def _bar_cells(self, cells: int) -> int:
        columns = sum(size + GAP for _, size in _columns(cells))
        return max(cells - 2 * GAP - self._name_cells - columns, BAR_MIN)

    def _bar(self, item: StatsItem | None, room: int) -> list[StyledText]:
        """Return the bar of a group in exactly `room` cells; whatever is not zero has a cell at least."""
        done, failed = (item.jobs.completed, item.jobs.failed) if item else (0, 0)
        failing = min(max(round(failed * room / self._top), failed > 0), room - (done > 0))
        completed = min(max(round(done * room / self._top), done > 0), room - failing)
        return [("█" * completed, "green"), ("▒" * failing, "red"), (" " * (room - completed - failing), "")]


def _columns(cells: int) -> list[tuple[str, int]]:
    return [(title, size) for title, size, least in _COLUMNS if cells >= least]


def _numbers(item: StatsItem | None, titles: list[str]) -> list[str]:
    """Return the texts of the columns with these titles; P95 is that of the column before it."""
    if item is None:
        return [DASH] * len(titles)
    passes = share(item.tries.first, item.tries.first + item.tries.later)
    texts = []
    for before, title in zip(["", *titles], titles, strict=False):
        times = item.queue_wait_ms if title == "WAIT P50" or before == "WAIT P50" else item.duration_ms
        found = {
            "DONE": f"{item.jobs.completed:,}",
            "FAILED": f"{item.jobs.failed:,}",
            "1ST TRY": passes,
            "TOKENS": token_count(item.input_tokens + item.output_tokens),
            "COST": dollars(item.cost_usd),
            "P95": brief_duration(times.p95),
        }
        texts.append(found.get(title) or brief_duration(times.p50))
    return texts


def gate_lines(gates: tuple[GateStats, ...]) -> list[StyledLine]:
    """Return a line for each gate, the slowest first: its pass rate as a bar, how often it ran, and its time."""
    names = {gate.name: truncate(plain(gate.name), NAME_MAX) for gate in gates}
    size = max(map(width, names.values()), default=0)
    return [
        _gate_line(gate, f"{names[gate.name]}{'':{size - width(names[gate.name])}}")
        for gate in sorted(gates, key=lambda gate: -(gate.duration_ms.p50 or 0))
    ]


def _gate_line(gate: GateStats, name: str) -> StyledLine:
    runs = gate.passed + gate.failed
    filled = round(GATE_BAR * gate.passed / runs) if runs else 0
    return [
        (f"{'':{GAP}}{name}{'':{GAP}}", ""),
        ("█" * filled, "green"),
        ("▒" * (GATE_BAR - filled if runs else 0), "red"),
        (f"{share(gate.passed, runs):>7}", ""),
        (f" of {runs:,}", "dim"),
        (f"{'':{GAP}}p50 {brief_duration(gate.duration_ms.p50)}", ""),
    ]
