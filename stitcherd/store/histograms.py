"""Histograms of durations in milliseconds, with fixed buckets that grow by a fifth: small, and exact to a tenth.

In memory a histogram is a list of counts, one for each bucket. It is stored as a text, a JSON object of bucket numbers
and counts, which only this module reads and writes. Bucket `i` has the durations from BOUNDS[i] to BOUNDS[i + 1] - 1,
the last one all from its bound on. The migration that fills the statistics derives the same bounds.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import accumulate

import msgspec

BUCKETS = 120  # the last one begins after 39 days

Histogram = list[int]


def _bounds() -> Iterator[int]:
    bound = 0
    for _ in range(BUCKETS):
        yield bound
        bound = max(bound + 1, bound * 6 // 5)


BOUNDS = tuple(_bounds())
EMPTY = [0] * BUCKETS

_decoder = msgspec.json.Decoder(list[dict[int, int]])


def bucket_of(milliseconds: int) -> int:
    """Return the bucket of a duration; negative ones count as 0."""
    return bisect_right(BOUNDS, max(milliseconds, 0)) - 1


def text_of(milliseconds: int) -> str:
    """Return the text of a histogram of one duration."""
    return f'{{"{bucket_of(milliseconds)}":1}}'


def incremented(column: str) -> str:
    """Return the SQL of a column with one more duration; both of its placeholders are its `path_of`."""
    return f"json_set({column}, ?, coalesce(CAST(json_extract({column}, ?) AS BIGINT), 0) + 1)"


def path_of(milliseconds: int) -> str:
    """Return where the text of a histogram counts a duration."""
    return f"$.{bucket_of(milliseconds)}"


def concatenated(column: str) -> str:
    """Return the SQL that joins the texts of a group of rows, for `add`."""
    return f"group_concat({column})"


def add(histogram: Histogram, texts: str, sign: int = 1) -> Histogram:
    """Return a histogram with the durations of `concatenated` texts; without them, if the sign is -1."""
    total = histogram[:]
    for counts in _decoder.decode(f"[{texts}]"):
        for bucket, count in counts.items():
            total[bucket] += sign * count
    return total


def percentiles(histogram: Histogram, *percents: int) -> list[int | None]:
    """Return the durations that so many percent of all do not exceed, within 10 %; None for an empty histogram."""
    counts = list(accumulate(histogram))
    if not counts[-1]:
        return [None] * len(percents)
    return [_MIDDLES[bisect_left(counts, -(-counts[-1] * percent // 100))] for percent in percents]


def _middle(bucket: int) -> int:
    """Return the duration whose ratio to both ends of a bucket differs from 1 by the same."""
    low = BOUNDS[bucket]
    high = BOUNDS[bucket + 1] - 1 if bucket + 1 < len(BOUNDS) else low
    return round(2 * low * high / (low + high)) if low else 0


_MIDDLES = tuple(map(_middle, range(BUCKETS)))
