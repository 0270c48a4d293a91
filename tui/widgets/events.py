"""Events as they come: the newest so many, the rest forgotten; followed while the cursor is on the last."""

from collections.abc import Iterable

from shared.models import JobEvent
from tui.text import events
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine, highlight

KEPT = 20_000


class EventList(RowView):
    """A tail; `held` events came while it was paused, and are shown when it goes on."""

    def __init__(self, *, id: str | None = None, with_job: bool = True) -> None:  # noqa: A002 (Textual's own name)
        super().__init__(id=id)
        self._with_job = with_job
        self._pattern = ""
        self.paused = False
        self.filter = ""
        self._all: list[JobEvent] = []
        self._shown: list[JobEvent] = []
        self._held: list[JobEvent] = []

    @property
    def count(self) -> int:
        """How many events are shown."""
        return len(self._shown)

    @property
    def held(self) -> int:
        """How many wait."""
        return len(self._held)

    @property
    def total(self) -> int:
        """How many are kept, shown or not."""
        return len(self._all)

    @property
    def event(self) -> JobEvent | None:
        """The event under the cursor."""
        return self._shown[self.cursor] if self._shown else None

    def draw(self, at: int, cells: int) -> StyledLine:  # noqa: ARG002 (a line is as long as it is)
        """Return the line of an event."""
        return highlight(events.event_line(self._shown[at], with_job=self._with_job), self._pattern)

    def add(self, events: Iterable[JobEvent]) -> None:
        """Show more events, or keep them back while it is paused."""
        if self.paused:
            self._held.extend(events)
            del self._held[: -KEPT or None]
            return
        last = self._all[-1].id if self._all else 0
        fresh = [event for event in events if event.id > last]
        self._all += fresh
        follows = self.cursor >= self.count - 1
        self._shown += fresh if not self.filter else [event for event in fresh if self._fits(event)]
        gone = self._trim()
        if follows:
            self.cursor = max(self.count - 1, 0)
            self.recount()
            self.jump(self.count)
        else:
            top = self.scroll_offset.y
            self.cursor = max(self.cursor - gone, 0)
            self.recount()
            if gone:
                self.jump(max(top - gone, 0))

    def prepend(self, events: list[JobEvent]) -> None:
        """Put what happened before in front of what came."""
        known = {event.id for event in self._all}
        self._all = sorted(
            [*self._all, *(event for event in events if event.id not in known)], key=lambda event: event.id
        )
        self.set_filter(self.filter)

    def clear(self) -> None:
        """Forget all."""
        self._all, self._shown, self._held = [], [], []
        self.recount()

    def toggle_pause(self) -> None:
        """Hold, or go on with what was held."""
        self.paused = not self.paused
        if not self.paused:
            held, self._held = self._held, []
            self.add(held)

    def set_filter(self, text: str) -> None:
        """Show only the events whose line holds a text."""
        self.filter = text.lower()
        self._shown = [event for event in self._all if self._fits(event)] if text else list(self._all)
        self.cursor = max(self.count - 1, 0)
        self.recount()
        self.jump(self.count)
        self.post_message(self.Moved(self))

    def find(self, text: str, *, backward: bool) -> bool:
        """Go to the next event whose line holds a text."""
        self._pattern = text.lower()
        self.refresh()
        rows = range(self.cursor - 1, -1, -1) if backward else range(self.cursor + 1, self.count)
        at = next((row for row in rows if self._pattern in self._text(self._shown[row])), None)
        if at is not None:
            self.move(at)
        return at is not None

    def _fits(self, event: JobEvent) -> bool:
        return self.filter in self._text(event)

    def _text(self, event: JobEvent) -> str:
        return "".join(text for text, _ in events.event_line(event, with_job=self._with_job)).lower()

    def _trim(self) -> int:
        """Forget the oldest; returns how many of those shown are gone."""
        if len(self._all) > KEPT + KEPT // 4:
            del self._all[:-KEPT]
        if len(self._shown) <= KEPT + KEPT // 4:
            return 0
        gone = len(self._shown) - KEPT
        del self._shown[:gone]
        return gone
