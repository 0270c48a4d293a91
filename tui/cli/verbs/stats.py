"""`stitcher stats`: shows what became of jobs, how long they took and what they cost, by day or by another fact."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime, timedelta

from shared import units
from shared.stats import Grouping, Stats, StatsItem
from tui.cli import exits
from tui.cli.parser import daemon_client
from tui.cli.terminal import Terminal
from tui.client import api
from tui.text.jobs import counted, token_count
from tui.text.plain import plain
from tui.text.stats import brief_duration, dollars, ended, group_name, share
from tui.text.table import align_columns, join_cells

_HEADER = (
    *("done", "failed", "cancelled", "1st try", "time p50", "p95", "wait p50", "p95", "tokens", "cost"),
    "gates passed",
)
_RIGHT = range(1, len(_HEADER))  # the numbers
_GATES = len(_HEADER)  # the column that is shortened


def arguments(parser: ArgumentParser) -> None:
    """Add the period and the grouping."""
    parser.add_argument(
        "--since", metavar="AGE", type=_age, default="14d", help="how long ago it begins: 12h, 14d, … (14d)"
    )
    parser.add_argument("--by", choices=[*Grouping], default=Grouping.DAY, help="days and hours are those of UTC (day)")


def run(options: Namespace, terminal: Terminal) -> int:
    """Print a line for each group, and what all of them come to."""
    by = Grouping(options.by)
    reply = api.get_stats(daemon_client(options), by, datetime.now(UTC) - options.since)
    if options.json:
        terminal.document(reply.raw)
        return exits.OK
    stats = reply.value
    since = plain(stats.since[:16].replace("T", " ")) + " UTC"
    if not stats.items:
        terminal.note(f"no job has ended since {since}; `stitcher ls` shows those that have not")
        return exits.OK
    rows = [[by.value, *_HEADER], *(_row(by, item) for item in stats.items)]
    header, *lines = align_columns(rows, right=_RIGHT, bends=_GATES, columns=terminal.columns)
    terminal.note(join_cells(header))
    for cells in lines:
        terminal.data(join_cells(cells))
    terminal.note(_summary(stats, since))
    return exits.OK


def _row(by: Grouping, item: StatsItem) -> list[str]:
    return [
        group_name(by, item.key),
        f"{item.jobs.completed:,}",
        f"{item.jobs.failed:,}",
        f"{item.jobs.cancelled:,}",
        share(item.tries.first, item.tries.first + item.tries.later),
        *(brief_duration(each) for each in (item.duration_ms.p50, item.duration_ms.p95)),
        *(brief_duration(each) for each in (item.queue_wait_ms.p50, item.queue_wait_ms.p95)),
        token_count(item.input_tokens + item.output_tokens),
        dollars(item.cost_usd),
        " · ".join(f"{plain(gate.name)} {share(gate.passed, gate.passed + gate.failed)}" for gate in item.gates),
    ]


def _summary(stats: Stats, since: str) -> str:
    cost = sum(item.cost_usd for item in stats.items)
    return f"{counted(sum(map(ended, stats.items)), 'job')} ended since {since}" + (
        f", {dollars(cost)}" if cost else ""
    )


def _age(text: str) -> timedelta:
    return timedelta(seconds=units.parse_duration(text.lower()))
