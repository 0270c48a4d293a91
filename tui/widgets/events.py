"""A list of events as they arrive: it keeps the newest, and follows them while the cursor is on the last one."""

from bisect import bisect_left
from collections.abc import Iterable
from operator import attrgetter

from shared.models import JobEvent
from tui.text.events import event_line
from tui.widgets.lines import RowView
from tui.widgets.matches import match_note, next_match
from tui.widgets.paint import StyledLine, highlight

MAX_EVENTS = 20_000


class EventList(RowView):
    """A list of events that can be paused, filtered and searched; while paused, new events are only counted."""

    def __init__(self, *, id: str | None = None, with_job: bool = True, classes: str = "") -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self.add_class(*classes.split())
        self._with_job = with_job
        self._pattern = ""
        self.note = ""  # what the last search found
        self.paused = False
        self.filter = ""
        self._all: list[JobEvent] = []
        self._shown: list[JobEvent] = []
        self._held: list[JobEvent] = []

    @property
    def count(self) -> int:
        """The number of events that are shown."""
        return len(self._shown)

    @property
    def held(self) -> int:
        """The number of events that arrived while the list is paused."""
        return len(self._held)

    @property
    def total(self) -> int:
        """The number of events that are kept, whether the filter shows them or not."""
        return len(self._all)

    @property
    def following(self) -> bool:
        """Whether the cursor is on the newest event, and stays there."""
        return self.cursor >= self.count - 1

    @property
    def event(self) -> JobEvent | None:
        """The event under the cursor."""
        return self._shown[self.cursor] if self._shown else None

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (lines are not wrapped here)
        """Return the line of an event."""
        return highlight(event_line(self._shown[at], with_job=self._with_job), self._pattern)

    def add(self, events: Iterable[JobEvent]) -> None:
        """Append new events, or hold them back while the list is paused."""
        if self.paused:
            self._held.extend(events)
            del self._held[:-MAX_EVENTS]
            return
        last = self._all[-1].id if self._all else 0
        new = [event for event in events if event.id > last]
        self._all += new
        follows = self.following
        self._shown += new if not self.filter else [event for event in new if self._matches(event)]
        dropped = self._drop_oldest()
        if follows:
            self.cursor = max(self.count - 1, 0)
            self.recount()
            self.jump(self.count)
        else:
            top = self.scroll_offset.y
            self.cursor = max(self.cursor - dropped, 0)
            self.recount()
            if dropped:
                self.jump(max(top - dropped, 0))

    def prepend(self, events: list[JobEvent]) -> None:
        """Insert earlier events before those that have arrived."""
        known = {event.id for event in self._all}
        self._all = sorted(
            [*self._all, *(event for event in events if event.id not in known)], key=lambda event: event.id
        )
        self.set_filter(self.filter)

    def clear(self) -> None:
        """Remove all events."""
        self._all, self._shown, self._held = [], [], []
        self.recount()

    def toggle_pause(self) -> None:
        """Pause, or continue with the events that were held back."""
        self.paused = not self.paused
        if not self.paused:
            held, self._held = self._held, []
            self.add(held)

    def set_filter(self, text: str) -> None:
        """Show only the events whose line contains a text, ignoring case; all of them if it is empty.

        The cursor stays on its event or, if that is hidden, goes to the next one; if it was on the newest, it stays so.
        """
        selected = None if self.following else self.event
        self.filter, self.note = text.lower(), ""
        self._shown = [event for event in self._all if self._matches(event)] if text else list(self._all)
        self.cursor = bisect_left(self._shown, selected.id, key=attrgetter("id")) if selected else self.count
        self.recount()
        if self.following:
            self.jump(self.count)
        else:
            self.reveal()
        self.post_message(self.Moved(self))

    def find(self, text: str, *, backward: bool) -> bool:
        """Select the next event whose line contains a text, ignoring case; return False if there is none."""
        self._pattern = text.lower()
        self.refresh()
        matches = [row for row, event in enumerate(self._shown) if self._pattern in self._text(event)]
        at = next_match(matches, self.cursor, backward=backward)
        if at is not None:
            self.move(at)
        self.note = match_note(text, matches, at, backward=backward)
        return at is not None

    def move(self, row: int) -> None:
        """Set the cursor, which is no longer on what was found."""
        self.note = ""
        super().move(row)

    def _matches(self, event: JobEvent) -> bool:
        return self.filter in self._text(event)

    def _text(self, event: JobEvent) -> str:
        return "".join(text for text, _ in event_line(event, with_job=self._with_job)).lower()

    def _drop_oldest(self) -> int:
        """Drop the oldest events where there are too many; return how many of the shown ones are gone."""
        if len(self._all) > MAX_EVENTS + MAX_EVENTS // 4:
            del self._all[:-MAX_EVENTS]
        if len(self._shown) <= MAX_EVENTS + MAX_EVENTS // 4:
            return 0
        dropped = len(self._shown) - MAX_EVENTS
        del self._shown[:dropped]
        return dropped
