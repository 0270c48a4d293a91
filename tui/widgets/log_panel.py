"""A panel with a text of any size, which can be searched and filtered."""

import asyncio
from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container

from tui.client.http import ApiError, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.text.plain import plain, single_line
from tui.widgets.lines import LineView, RowView
from tui.widgets.log import LogView
from tui.widgets.log_search import MatchCounter, MatchList, search_log
from tui.widgets.log_text import LineFormatter, ReadRange, log_line
from tui.widgets.matches import match_note


class LogPanel(Container):
    """Shows a text, or, with a filter, its matching lines; a text that `grows` is shown from its end."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 (Textual's own name)
        line_formatter: LineFormatter = log_line,
        colour: Callable[[str], str] = lambda _: "",
        empty: str = "no output",
        grows: bool = True,
    ) -> None:
        super().__init__(id=id)
        self.filter = ""
        self.grows = grows
        self.log_view = LogView(line_formatter, colour, empty)
        self._matches = MatchList(line_formatter)
        self._matches.display = False
        self._read: ReadRange | None = None
        self._note = ""
        self._found: int | None = None
        self._counter = MatchCounter(b"")
        self.match = ""  # which of how many matches was found last

    def compose(self) -> ComposeResult:
        """Compose the text and the list of matches, one of which is displayed."""
        yield self.log_view
        yield self._matches

    @property
    def view(self) -> LineView:
        """The view that is displayed, and has the focus."""
        return self._matches if self.filter else self.log_view

    @property
    def note(self) -> str:
        """An error, or the state of a search; empty if there is nothing to report."""
        if self.filter:
            return self._matches.summary
        return self._note or (self.log_view.note if self.log_view.text.lines else "")

    def open(self, read: ReadRange) -> None:
        """Show another text, with the same filter."""
        self._read, self._found = read, None
        self._note = self.match = ""
        self._counter = MatchCounter(b"")
        self.log_view.open(read, at_end=self.grows)
        if self.filter:
            self._matches.search(read, self.filter, following=self.grows)

    def check_growth(self) -> None:
        """Load what was added to the text."""
        self.log_view.check_growth()
        if self.filter:
            self._matches.check_growth()

    def set_filter(self, text: str) -> None:
        """Show only the lines that contain a text, ignoring case; all of them if it is empty."""
        had_focus, selected = self.view.has_focus, self._matches.selected_offset if self.filter else None
        self.filter = text
        self._matches.display, self.log_view.display = bool(text), not text
        if text and self._read:
            self._matches.search(self._read, text, following=self.log_view.following)
        elif selected is not None:
            self.log_view.go_to(selected)
        if had_focus:
            self.view.focus()
        self.post_message(LogView.Changed())

    @on(RowView.Opened)
    def match_opened(self, message: RowView.Opened) -> None:
        """Show the selected match within the whole text."""
        message.stop()
        self.log_view.set_pattern(self.filter)
        self.set_filter("")

    @on(RowView.Moved)
    def match_selected(self, message: RowView.Moved) -> None:
        """Keep the message from the screen, which would take it for one of its own lists."""
        message.stop()

    def find(self, pattern: str, *, backward: bool) -> None:
        """Search for a text from the visible part on, ignoring case, and scroll to it."""
        if self.filter:
            self.set_filter("")
        self.log_view.set_pattern(pattern)
        if pattern and self._read:
            self._find(self._read, pattern.lower().encode(), backward)

    @work(group="find", exclusive=True)
    async def _find(self, read: ReadRange, pattern: bytes, backward: bool) -> None:  # noqa: FBT001 (a worker)
        self.match = ""
        self._set_note(f"searching for {plain(pattern.decode())} …")
        start = self._search_start(backward=backward)
        try:
            found = await asyncio.to_thread(search_log, read, pattern, start, backward=backward)
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8) as error:
            self._set_note(single_line(str(error)))
            return
        if found is None:
            self._set_note(match_note(pattern.decode(), (), None, backward=backward))
            return
        self._set_note("")
        self._found = found
        self.log_view.go_to(found)
        await self._count(read, pattern, found)

    async def _count(self, read: ReadRange, pattern: bytes, found: int) -> None:
        """Read the whole text, as far as that is not done, and say which of how many matches was found."""
        if self._counter.pattern != pattern:
            self._counter = MatchCounter(pattern)
        counter = self._counter
        try:
            while True:  # at least once: the text may have grown
                at = counter.at
                data, size = await asyncio.to_thread(read, counter.next_range)
                if counter.at == at:  # another search may have gone on with it
                    counter.feed(data, size)
                if counter.done:
                    break
        except (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8):
            return  # what was found is shown in any case
        if counter is self._counter:
            self.match = match_note(pattern.decode(), counter.offsets, found, backward=False, more=counter.full)
            self.post_message(LogView.Changed())

    def _search_start(self, *, backward: bool) -> int:
        top, end = self.log_view.visible_bytes
        if self._found is not None and top <= self._found < end:
            return self._found if backward else self._found + 1
        return end if backward else top

    def _set_note(self, note: str) -> None:
        self._note = note
        self.post_message(LogView.Changed())
