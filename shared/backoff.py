"""Delays between two tries to connect."""

from collections.abc import Iterator
from itertools import chain, repeat

DELAYS = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between two tries to connect; the last one repeats


def backoff_delays() -> Iterator[float]:
    """Return how long to wait between two tries to connect, in seconds, without end."""
    return chain(DELAYS, repeat(DELAYS[-1]))
