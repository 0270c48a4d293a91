"""Reads what `counting` has counted: statistics by hour, day, type, repository or executor."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from shared.ids import format_timestamp, now_ms
from shared.stats import Grouping, Stats
from stitcherd.budget import DAY_MS
from stitcherd.store import histograms
from stitcherd.store.counting import HOUR_MS
from stitcherd.store.db import Reader
from stitcherd.store.queries import fetch_all
from stitcherd.store.search_plan import fold_case
from stitcherd.store.stats_sums import (
    GATE_COUNTS,
    GATE_HISTOGRAMS,
    JOB_COUNTS,
    JOB_HISTOGRAMS,
    TIME_FORMATS,
    Key,
    PeriodSums,
    Row,
    Rows,
)

_GROUPS = {  # the rows that are grouped, and by what
    Grouping.HOUR: ("hour", "start"),
    Grouping.DAY: ("hour", f"start / {DAY_MS} * {DAY_MS}"),
    Grouping.TYPE: ("type", "name"),
    Grouping.REPOSITORY: ("repository", "name"),
    Grouping.EXECUTOR: ("executor", "name"),
}
_LATE_MS = HOUR_MS  # after a day is over, until nothing is counted in it any more: the writer has what it was sent
_PERIODS_KEPT = 4  # of a thousand repositories with two gates each has 8 MB
_END = 2**63 - 1


class _Period(NamedTuple):
    """A grouping of a workspace, and the milliseconds of its first row and after its last one."""

    by: Grouping
    workspace: str | None
    start: int
    end: int = _END

    def distance(self, other: "_Period") -> int:
        """Return how many milliseconds are in one of both; at least the length of each, where none is in both."""
        if (self.by, self.workspace) != (other.by, other.workspace):
            return _END
        return abs(self.start - other.start) + abs(self.end - other.end)

    def differences(self, other: "_Period") -> Iterator[tuple[int, "_Period"]]:
        """Yield the parts that another period has more, with 1, and those that it has not, with -1."""
        for sign, start, end in (
            (1, other.start, self.start),
            (-1, self.start, other.start),
            (1, self.end, other.end),
            (-1, other.end, self.end),
        ):
            if start < end:
                yield sign, self._replace(start=start, end=end)


class StatsReader:
    """Reads statistics; it keeps the sums by name of past days, which would take long to add up again."""

    def __init__(self, now: Callable[[], int] = now_ms) -> None:
        self._now = now
        self._past: OrderedDict[_Period, PeriodSums] = OrderedDict()

    async def read(self, db: Reader, workspace: str | None, by: Grouping, since: int) -> Stats:
        """Return the statistics of a workspace, or of all for None, from the hour or the day of a time (ms) on."""
        span = HOUR_MS if by is Grouping.HOUR else DAY_MS
        start = since // span * span
        if by in TIME_FORMATS:
            settled, past = start, PeriodSums(by)
        else:
            settled = max(start, (self._now() - _LATE_MS) // DAY_MS * DAY_MS)
            past = await self._past_sums(db, _Period(by, workspace, start, settled))
        # Those of a thousand repositories take 40 ms, which the event loop must not wait for.
        items = await asyncio.to_thread(past.items, await _read_rows(db, _Period(by, workspace, settled)))
        if by not in TIME_FORMATS:
            items.sort(key=lambda item: -(item.jobs.completed + item.jobs.failed + item.jobs.cancelled))
        return Stats(format_timestamp(start), by, tuple(items))

    async def _past_sums(self, db: Reader, period: _Period) -> PeriodSums:
        """Return the sums of days in which nothing is counted any more: what is kept of them.

        Each day both ends of a usual period move by one day, so that only the days in which it differs from what is
        kept are read.
        """
        if period not in self._past:
            kept = min(self._past, key=period.distance, default=period._replace(end=period.start))
            if kept.distance(period) >= period.end - period.start:
                kept = period._replace(end=period.start)
            sums = self._past.get(kept, PeriodSums(period.by))
            parts = [(sign, await _read_rows(db, part)) for sign, part in kept.differences(period)]
            self._past[period] = await asyncio.to_thread(sums.change, parts)
            if kept.end < period.end:  # it ended on an earlier day, as no period will any more
                self._past.pop(kept, None)
            if len(self._past) > _PERIODS_KEPT:
                self._past.popitem(last=False)
        self._past.move_to_end(period)
        return self._past[period]


async def _read_rows(db: Reader, period: _Period) -> dict[Key, Rows]:
    """Add up the rows of a period by group, and those of gates by group and gate."""
    grouping, value = _GROUPS[period.by]
    found, group = f"min({value}) AS found", f"{value} COLLATE NOCASE" if value == "name" else value
    values = {"grouping": grouping, "start": period.start, "end": period.end, "workspace": period.workspace}
    counted = "grouping = :grouping AND start >= :start AND start < :end"
    if period.workspace is not None:
        counted += " AND workspace = :workspace"
    jobs = await fetch_all(
        db,
        f"SELECT {found}, {_sums(JOB_COUNTS, JOB_HISTOGRAMS)} FROM job_stats WHERE {counted} GROUP BY {group}",
        values,
    )
    gates = await fetch_all(
        db,
        f"SELECT {found}, gate, {_sums(GATE_COUNTS, GATE_HISTOGRAMS)}"
        f" FROM gate_stats WHERE {counted} GROUP BY {group}, gate",
        values,
    )
    gates_of: defaultdict[Key, dict[str, Row]] = defaultdict(dict)
    names: dict[Key, Key] = {}
    for name, gate, *row in gates:
        key = _key(name)
        names[key] = name
        gates_of[key][gate] = tuple(row)
    jobs_of = {}
    for name, *row in jobs:
        key = _key(name)
        names[key] = name
        jobs_of[key] = tuple(row)
    return {key: Rows(name, jobs_of.get(key), gates_of[key]) for key, name in names.items()}


def _sums(counts: tuple[str, ...], durations: tuple[str, ...]) -> str:
    return ", ".join([*(f"sum({count})" for count in counts), *map(histograms.concatenated, durations)])


def _key(found: Key) -> Key:
    """Return what two rows of the same group have in common: the case of names differs."""
    return fold_case(found) if isinstance(found, str) else found
