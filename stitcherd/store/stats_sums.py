"""Sums of what `counting` has counted, of the groups of a period, and the items of statistics that they give; pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from shared.stats import GateStats, Grouping, JobOutcomes, Median, Percentiles, StatsItem, TryCounts
from stitcherd.store import histograms

JOB_COUNTS = (
    *("completed", "failed", "cancelled", "first_tries", "later_tries"),
    *("input_tokens", "output_tokens", "cost_usd"),
)
JOB_HISTOGRAMS = ("durations", "queue_waits")
GATE_COUNTS = ("passed", "failed")
GATE_HISTOGRAMS = ("durations",)
TIME_FORMATS = {Grouping.HOUR: "%Y-%m-%dT%H:00Z", Grouping.DAY: "%Y-%m-%d"}
_USD_DIGITS = 6

Key = int | str  # of a group: a time in milliseconds, or a name in one case
Row = tuple[Any, ...]  # the counts of jobs or of a gate, and the texts of their histograms


class Rows(NamedTuple):
    """What the store has of a group in a period: its key as it is written, a row of its jobs, and one of each gate."""

    found: Key
    jobs: Row | None
    gates: Mapping[str, Row]


class _Sums(NamedTuple):
    """Counts, and histograms of durations."""

    counts: tuple[float, ...]
    durations: tuple[histograms.Histogram, ...]

    def add(self, row: Row, sign: int) -> "_Sums":
        """Return the sums with a row; without it, if the sign is -1."""
        size = len(self.counts)
        counts = [mine + sign * more for mine, more in zip(self.counts, row[:size], strict=True)]
        durations = [histograms.add(mine, more, sign) for mine, more in zip(self.durations, row[size:], strict=True)]
        return _Sums(tuple(counts), tuple(durations))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is counted; of dollars that were added and taken away again, a tiny part can remain."""
        return not any(round(count, _USD_DIGITS) for count in self.counts)


_NO_JOBS = _Sums((0,) * len(JOB_COUNTS), (histograms.EMPTY,) * len(JOB_HISTOGRAMS))
_NO_RUNS = _Sums((0,) * len(GATE_COUNTS), (histograms.EMPTY,) * len(GATE_HISTOGRAMS))


class _Group(NamedTuple):
    """A group in a period: its key as some day has it, the sums of its jobs, and of the runs of each gate."""

    found: Key
    jobs: _Sums
    gates: Mapping[str, _Sums]

    def add(self, rows: Rows, sign: int = 1) -> "_Group":
        """Return the group with the rows of another period; without them, if the sign is -1."""
        gates = {name: self.gates.get(name, _NO_RUNS).add(row, sign) for name, row in rows.gates.items()}
        jobs = self.jobs if rows.jobs is None else self.jobs.add(rows.jobs, sign)
        return _Group(rows.found, jobs, {**self.gates, **gates})

    def without_empty_gates(self) -> "_Group":
        """Return the group with those gates that ran."""
        return self._replace(gates={name: runs for name, runs in self.gates.items() if not runs.is_empty})


class PeriodSums:
    """The sums of all groups of a period, and of each group the item that it gave last."""

    def __init__(self, by: Grouping, groups: Mapping[Key, _Group] | None = None) -> None:
        self._by = by
        self._groups = groups or {}
        self._items: dict[Key, tuple[Rows | None, StatsItem]] = {}

    def change(self, parts: Iterable[tuple[int, Mapping[Key, Rows]]]) -> "PeriodSums":
        """Return the sums of another period, given what it has more as (1, rows), and what it has not as (-1, rows)."""
        groups = dict(self._groups)
        for sign, part in parts:
            for key, rows in part.items():
                groups[key] = groups.get(key, _Group(rows.found, _NO_JOBS, {})).add(rows, sign)
        groups = {key: group.without_empty_gates() for key, group in groups.items()}
        return PeriodSums(self._by, {key: each for key, each in groups.items() if each.gates or not each.jobs.is_empty})

    def items(self, later: Mapping[Key, Rows]) -> list[StatsItem]:
        """Return the items of this period and a later one, in the order of their keys.

        The item of a group that had the same rows at the last call is not made again: it takes 30 µs.
        """
        return [self._item(key, later.get(key)) for key in sorted({*self._groups, *later})]

    def _item(self, key: Key, rows: Rows | None) -> StatsItem:
        known = self._items.get(key)
        if known is None or known[0] != rows:
            if rows is None:
                group = self._groups[key]
            else:
                group = self._groups.get(key, _Group(rows.found, _NO_JOBS, {})).add(rows)
            known = self._items[key] = rows, _item(self._by, group)
        return known[1]


def _item(by: Grouping, group: _Group) -> StatsItem:
    completed, failed, cancelled, first, later, input_tokens, output_tokens, cost_usd = group.jobs.counts
    durations, queue_waits = group.jobs.durations
    return StatsItem(
        key=_label(by, group.found),
        jobs=JobOutcomes(int(completed), int(failed), int(cancelled)),
        duration_ms=Percentiles(*histograms.percentiles(durations, 50, 95)),
        queue_wait_ms=Percentiles(*histograms.percentiles(queue_waits, 50, 95)),
        gates=tuple(_gate(name, runs) for name, runs in sorted(group.gates.items())),
        tries=TryCounts(int(first), int(later)),
        input_tokens=int(input_tokens),
        output_tokens=int(output_tokens),
        cost_usd=abs(round(cost_usd, _USD_DIGITS)),  # which may be -0.0
    )


def _gate(name: str, runs: _Sums) -> GateStats:
    passed, failed = runs.counts
    return GateStats(name, int(passed), int(failed), Median(*histograms.percentiles(runs.durations[0], 50)))


def _label(by: Grouping, found: Key) -> str:
    """Return the key of a group: a name, or a time that was found in milliseconds."""
    if isinstance(found, str):
        return found
    return datetime.fromtimestamp(found / 1000, UTC).strftime(TIME_FORMATS[by])
