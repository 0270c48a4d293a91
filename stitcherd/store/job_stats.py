"""Reads what `counting` has counted: statistics by hour, day, type, repository or executor."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.ids import format_timestamp
from shared.stats import GateStats, Grouping, JobOutcomes, Median, Percentiles, Stats, StatsItem, TryCounts
from stitcherd.budget import DAY_MS
from stitcherd.store.counting import HOUR_MS
from stitcherd.store.db import Reader, Row
from stitcherd.store.histograms import merge, percentile
from stitcherd.store.queries import fetch_all
from stitcherd.store.search_plan import fold_case

_GROUPS = {  # the rows that are grouped, and by what
    Grouping.HOUR: ("hour", "start"),
    Grouping.DAY: ("hour", f"start / {DAY_MS} * {DAY_MS}"),
    Grouping.TYPE: ("type", "name"),
    Grouping.REPOSITORY: ("repository", "name"),
    Grouping.EXECUTOR: ("executor", "name"),
}
_TIME_FORMATS = {Grouping.HOUR: "%Y-%m-%dT%H:00Z", Grouping.DAY: "%Y-%m-%d"}
_COUNTS = (
    *("completed", "failed", "cancelled", "first_tries", "later_tries"),
    *("input_tokens", "output_tokens", "cost_usd"),
)
_NOTHING = dict.fromkeys(_COUNTS, 0) | dict.fromkeys(("durations", "queue_waits"), "[]")


async def read_stats(db: Reader, workspace: str | None, by: Grouping, since: int) -> Stats:
    """Return the statistics of a workspace, or of all for None, from the hour or the day of a time (ms) on."""
    span = HOUR_MS if by is Grouping.HOUR else DAY_MS
    start = since // span * span
    grouping, value = _GROUPS[by]
    found, group = f"min({value}) AS found", f"{value} COLLATE NOCASE" if value == "name" else value
    values = {"grouping": grouping, "start": start, "workspace": workspace}
    counted = "grouping = :grouping AND start >= :start" + ("" if workspace is None else " AND workspace = :workspace")
    sums = ", ".join(f"sum({column}) AS {column}" for column in _COUNTS)
    jobs = await fetch_all(
        db,
        f"SELECT {found}, {sums}, {_histograms('durations')}, {_histograms('queue_waits')}"
        f" FROM job_stats WHERE {counted} GROUP BY {group}",
        values,
    )
    gates = await fetch_all(
        db,
        f"SELECT {found}, gate, sum(passed) AS passed, sum(failed) AS failed, {_histograms('durations')}"
        f" FROM gate_stats WHERE {counted} GROUP BY {group}, gate ORDER BY gate",
        values,
    )
    # Percentiles of a thousand repositories take 0.1 s, which the event loop must not wait for.
    return Stats(format_timestamp(start), by, tuple(await asyncio.to_thread(_items, by, jobs, gates)))


def _histograms(column: str) -> str:
    return f"'[' || group_concat({column}) || ']' AS {column}"


def _items(by: Grouping, jobs: Sequence[Row], gates: Sequence[Row]) -> list[StatsItem]:
    """Return an item for each group that has jobs or gates: a gate may end in the hour before its job does."""
    names = {_group(row): row["found"] for row in (*gates, *jobs)}
    jobs_of = {_group(row): dict(row) for row in jobs}
    gates_of = defaultdict(list)
    for row in gates:
        gates_of[_group(row)].append(_gate(row))
    items = [
        _item(_key(by, names[group]), jobs_of.get(group, _NOTHING), tuple(gates_of[group])) for group in sorted(names)
    ]
    if by not in _TIME_FORMATS:
        items.sort(key=lambda item: -(item.jobs.completed + item.jobs.failed + item.jobs.cancelled))
    return items


def _group(row: Row) -> Any:
    """Return what two rows of the same group have in common: the case of names differs."""
    return fold_case(row["found"]) if isinstance(row["found"], str) else row["found"]


def _key(by: Grouping, found: Any) -> str:
    """Return the key of a group: a name, or a time that was found in milliseconds."""
    if by not in _TIME_FORMATS:
        return str(found)
    return datetime.fromtimestamp(found / 1000, UTC).strftime(_TIME_FORMATS[by])


def _item(key: str, row: Mapping[str, Any], gates: tuple[GateStats, ...]) -> StatsItem:
    return StatsItem(
        key=key,
        jobs=JobOutcomes(row["completed"], row["failed"], row["cancelled"]),
        duration_ms=_percentiles(row["durations"]),
        queue_wait_ms=_percentiles(row["queue_waits"]),
        gates=gates,
        tries=TryCounts(row["first_tries"], row["later_tries"]),
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cost_usd=round(row["cost_usd"], 6),
    )


def _gate(row: Row) -> GateStats:
    return GateStats(row["gate"], row["passed"], row["failed"], Median(percentile(merge(row["durations"]), 50)))


def _percentiles(histograms: str) -> Percentiles:
    found = merge(histograms)
    return Percentiles(percentile(found, 50), percentile(found, 95))
