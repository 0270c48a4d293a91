"""Reads what `counting` has counted: statistics by hour, day, type, repository or executor."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from shared.ids import format_timestamp, now_ms
from shared.stats import GateStats, Grouping, JobOutcomes, Median, Percentiles, Stats, StatsItem, TryCounts
from stitcherd.budget import DAY_MS
from stitcherd.store.counting import HOUR_MS
from stitcherd.store.db import Reader, Row
from stitcherd.store.histograms import merge, percentiles
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
_HISTOGRAMS = {"durations", "queue_waits"}
_NAMES = {"found", "gate"}
_NOTHING = dict.fromkeys(_COUNTS, 0) | dict.fromkeys(_HISTOGRAMS, "[]")
_LATE_MS = HOUR_MS  # after a day is over, until nothing is counted in it any more: the writer has what it was sent
_PERIODS_KEPT = 4  # of a thousand repositories each has 2 MB
_END = 2**63 - 1

_Row = dict[str, Any]


class _Period(NamedTuple):
    """A grouping of a workspace, and the milliseconds of its first row and after its last one."""

    by: Grouping
    workspace: str | None
    start: int
    end: int = _END


class _Sums(NamedTuple):
    """Sums of the columns by group, and by group and gate."""

    jobs: dict[Any, _Row]
    gates: dict[tuple[Any, str], _Row]


class StatsReader:
    """Reads statistics; it keeps the sums by name of past days, which would take long to add up again."""

    def __init__(self, now: Callable[[], int] = now_ms) -> None:
        self._now = now
        self._past: OrderedDict[_Period, _Sums] = OrderedDict()

    async def read(self, db: Reader, workspace: str | None, by: Grouping, since: int) -> Stats:
        """Return the statistics of a workspace, or of all for None, from the hour or the day of a time (ms) on."""
        span = HOUR_MS if by is Grouping.HOUR else DAY_MS
        start = since // span * span
        if by in _TIME_FORMATS:
            sums = await _read_sums(db, _Period(by, workspace, start))
        else:
            settled = max(start, (self._now() - _LATE_MS) // DAY_MS * DAY_MS)
            recent = await _read_sums(db, _Period(by, workspace, settled))
            sums = await asyncio.to_thread(_add, await self._past_sums(db, by, workspace, start, settled), recent)
        # Percentiles of a thousand repositories take 50 ms, which the event loop must not wait for.
        return Stats(format_timestamp(start), by, tuple(await asyncio.to_thread(_items, by, sums)))

    async def _past_sums(self, db: Reader, by: Grouping, workspace: str | None, start: int, end: int) -> _Sums:
        """Return the sums of days in which nothing is counted any more, from what is kept if it is."""
        period = _Period(by, workspace, start, end)
        if period not in self._past:
            self._past[period] = await asyncio.to_thread(_compact, await _read_sums(db, period))
            if len(self._past) > _PERIODS_KEPT:
                self._past.popitem(last=False)
        self._past.move_to_end(period)
        return self._past[period]


async def _read_sums(db: Reader, period: _Period) -> _Sums:
    """Add up the rows of a period; the histograms of each group become a JSON array."""
    grouping, value = _GROUPS[period.by]
    found, group = f"min({value}) AS found", f"{value} COLLATE NOCASE" if value == "name" else value
    values = {"grouping": grouping, "start": period.start, "end": period.end, "workspace": period.workspace}
    counted = "grouping = :grouping AND start >= :start AND start < :end"
    if period.workspace is not None:
        counted += " AND workspace = :workspace"
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
    return _Sums({_group(row): dict(row) for row in jobs}, {(_group(row), row["gate"]): dict(row) for row in gates})


def _compact(sums: _Sums) -> _Sums:
    """Return sums with one histogram in each JSON array: a tenth of the memory, and of the time to add them again."""
    for row in (*sums.jobs.values(), *sums.gates.values()):
        for column in _HISTOGRAMS & row.keys():
            row[column] = f"[{msgspec.json.encode(merge(row[column])).decode()}]"
    return sums


def _add(past: _Sums, recent: _Sums) -> _Sums:
    return _Sums(_add_rows(past.jobs, recent.jobs), _add_rows(past.gates, recent.gates))


def _add_rows(past: Mapping[Any, _Row], recent: Mapping[Any, _Row]) -> dict[Any, _Row]:
    """Return the sums of both by group; a name is written as it was last."""
    total = {**past, **recent}
    for group in past.keys() & recent.keys():
        earlier, later = past[group], recent[group]
        counts = {column: earlier[column] + later[column] for column in earlier.keys() - _HISTOGRAMS - _NAMES}
        histograms = {column: f"{earlier[column][:-1]},{later[column][1:]}" for column in _HISTOGRAMS & earlier.keys()}
        total[group] = {**later, **counts, **histograms}
    return total


def _histograms(column: str) -> str:
    return f"'[' || group_concat({column}) || ']' AS {column}"


def _items(by: Grouping, sums: _Sums) -> list[StatsItem]:
    """Return an item for each group that has jobs or gates: a gate may end in the hour before its job does."""
    gates_of = defaultdict(list)
    for (group, _), row in sorted(sums.gates.items()):
        gates_of[group].append(_gate(row))
    names = {group: row["found"] for (group, _), row in sums.gates.items()}
    names |= {group: row["found"] for group, row in sums.jobs.items()}
    items = [
        _item(_key(by, names[group]), sums.jobs.get(group, _NOTHING), tuple(gates_of[group])) for group in sorted(names)
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


def _item(key: str, row: _Row, gates: tuple[GateStats, ...]) -> StatsItem:
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


def _gate(row: _Row) -> GateStats:
    return GateStats(row["gate"], row["passed"], row["failed"], Median(*percentiles(merge(row["durations"]), 50)))


def _percentiles(histograms: str) -> Percentiles:
    return Percentiles(*percentiles(merge(histograms), 50, 95))
