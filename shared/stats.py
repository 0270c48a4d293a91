"""The answer of `GET /stats`: what became of jobs, how long they took and what they cost, by one of their facts.

What is counted, when, and how exact the percentiles are: docs/operations.md.
"""

from enum import StrEnum

from shared.models import WireStruct


class Grouping(StrEnum):
    """What statistics are grouped by; hours and days are those of UTC."""

    DAY = "day"
    HOUR = "hour"
    TYPE = "type"
    REPOSITORY = "repository"
    EXECUTOR = "executor"


class JobOutcomes(WireStruct, frozen=True):
    """How many attempts of jobs ended in each way."""

    completed: int
    failed: int
    cancelled: int


class Percentiles(WireStruct, frozen=True):
    """Milliseconds that half of the values, and 95 % of them, do not exceed, to 10 %; None where there are none."""

    p50: int | None
    p95: int | None


class Median(WireStruct, frozen=True):
    """Milliseconds that half of the values do not exceed, to 10 %; None where there are none."""

    p50: int | None


class GateStats(WireStruct, frozen=True):
    """How often a gate passed and failed, and how long it took; a gate that was interrupted did neither."""

    name: str
    passed: int
    failed: int
    duration_ms: Median


class TryCounts(WireStruct, frozen=True):
    """How many of the completed and failed attempts passed with their `first` try, and all the others."""

    first: int
    later: int


class StatsItem(WireStruct, frozen=True):
    """The statistics of one group: a day `2026-11-22`, an hour `2026-11-22T14:00Z`, or a name, empty for none."""

    key: str
    jobs: JobOutcomes
    duration_ms: Percentiles
    queue_wait_ms: Percentiles
    gates: tuple[GateStats, ...]
    tries: TryCounts
    input_tokens: int
    output_tokens: int
    cost_usd: float


class Stats(WireStruct, frozen=True):
    """Statistics from `since` on, the beginning of the hour or day that was asked for; empty groups are left out.

    Hours and days are in order, other groups by the number of their jobs, the largest first.
    """

    since: str
    by: Grouping
    items: tuple[StatsItem, ...]
