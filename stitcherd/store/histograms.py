"""Histograms of durations in milliseconds, with fixed buckets that grow by a fifth: small, and exact to a tenth.

A histogram is stored as a JSON object of bucket numbers and counts. Bucket `i` has the durations from BOUNDS[i] to
BOUNDS[i + 1] - 1, the last one all from its bound on. The migration that fills the statistics derives the same bounds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import accumulate

import msgspec

BUCKETS = 120  # the last one begins after 39 days


def _bounds() -> Iterator[int]:
    bound = 0
    for _ in range(BUCKETS):
        yield bound
        bound = max(bound + 1, bound * 6 // 5)


BOUNDS = tuple(_bounds())

_decoder = msgspec.json.Decoder(list[dict[int, int]])


def bucket_of(milliseconds: int) -> int:
    """Return the bucket of a duration; negative ones count as 0."""
    return bisect_right(BOUNDS, max(milliseconds, 0)) - 1


def merge(histograms: str) -> dict[int, int]:
    """Return the sum of histograms, given as a JSON array of them: the largest had best be the first."""
    total, *others = _decoder.decode(histograms) or [{}]
    for histogram in others:
        for bucket, count in histogram.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def percentiles(histogram: Mapping[int, int], *percents: int) -> list[int | None]:
    """Return the durations that so many percent of all do not exceed, within 10 %; None for an empty histogram."""
    buckets = sorted(histogram)
    counts = list(accumulate(map(histogram.__getitem__, buckets)))
    if not counts:
        return [None] * len(percents)
    return [_middle(buckets[bisect_left(counts, -(-counts[-1] * percent // 100))]) for percent in percents]


def _middle(bucket: int) -> int:
    """Return the duration whose ratio to both ends of a bucket differs from 1 by the same."""
    low = BOUNDS[bucket]
    high = BOUNDS[bucket + 1] - 1 if bucket + 1 < len(BOUNDS) else low
    return round(2 * low * high / (low + high)) if low else 0
