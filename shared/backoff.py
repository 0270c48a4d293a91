"""Delays between repeated attempts to reach a peer."""

from collections.abc import Iterator, Sequence
from itertools import chain, repeat

DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds; the last one repeats


def backoff_delays(delays: Sequence[float] = DELAYS) -> Iterator[float]:
    """Yield the delay before each further attempt, in seconds, without end."""
    return chain(delays, repeat(delays[-1]))
