"""When a log was written: its bytes have no times, but the events that showed them have."""

from bisect import bisect_right


class Clock:
    """When the bytes of a log were written, as far as its events tell: each tells of what is up to its end."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._ends: list[int] = []

    def tell(self, end: int, clock: str) -> None:
        """Take what an event says of the bytes before `end`."""
        self._known[end] = clock
        self._ends = []

    def at(self, offset: int) -> str:
        """Return the time of a byte; empty where nothing is known."""
        if not self._ends:
            self._ends = sorted(self._known)
        at = bisect_right(self._ends, offset)
        return self._known[self._ends[at]] if at < len(self._ends) else ""
