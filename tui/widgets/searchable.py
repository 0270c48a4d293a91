"""A text of any size with what one does to it: look for something, or have only the lines that hold it."""

import asyncio
from collections.abc import Callable

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container

from tui.client import NotText, Refused, Unintelligible, Unreachable
from tui.plain import plain
from tui.widgets import log_text
from tui.widgets.lines import Lines
from tui.widgets.log_rows import Shown
from tui.widgets.log_search import Read, search
from tui.widgets.log_view import LogView
from tui.widgets.matches import Matches
from tui.widgets.rows import Rows


class Output(Container):
    """The whole text, or in its place the lines that hold `filter`; one that `grows` is read from its end."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 (Textual's own name)
        shown: Shown = log_text.shown,
        colour: Callable[[str], str] = lambda _: "",
        empty: str = "no output",
        grows: bool = True,
    ) -> None:
        super().__init__(id=id)
        self.pattern = ""
        self.filter = ""
        self.log_view = LogView(shown, colour, empty)
        self._matches = Matches(shown)
        self._matches.display = False
        self.grows = grows
        self._read: Read | None = None
        self._note = ""
        self._found: int | None = None

    def compose(self) -> ComposeResult:
        """Put one in the place of the other."""
        yield self.log_view
        yield self._matches

    @property
    def view(self) -> Lines:
        """What is seen, and has the keys."""
        return self._matches if self.filter else self.log_view

    @property
    def note(self) -> str:
        """What is to be said of it; empty where there is nothing."""
        if self.filter:
            return self._matches.says
        return self._note or (self.log_view.note if self.log_view.text.lines else "")

    def open(self, read: Read) -> None:
        """Show another text; it is looked through for the same."""
        self._read, self._note, self._found = read, "", None
        self.log_view.open(read, at_end=self.grows)
        if self.filter:
            self._matches.look(read, self.filter, following=self.grows)

    def poke(self) -> None:
        """Look whether the text has grown."""
        self.log_view.poke()
        if self.filter:
            self._matches.poke()

    def narrow(self, text: str) -> None:
        """Show only the lines that hold a text, in any case; all of them for an empty one."""
        had_keys, back = self.view.has_focus, self._matches.offset_meant if self.filter else None
        self.filter = text
        self._matches.display, self.log_view.display = bool(text), not text
        if text and self._read:
            self._matches.look(self._read, text, following=self.log_view.following)
        elif back is not None:
            self.log_view.go_to(back)
        if had_keys:
            self.view.focus()
        self.post_message(LogView.Changed())

    @on(Rows.Opened)
    def opened(self, message: Rows.Opened) -> None:
        """Show a line among its neighbours."""
        message.stop()
        self.mark(self.filter)
        self.narrow("")

    @on(Rows.Moved)
    def moved(self, message: Rows.Moved) -> None:
        """Keep the cursor of the matches from being taken for that of the steps."""
        message.stop()

    def mark(self, pattern: str) -> None:
        """Have a text stand out."""
        self.pattern = pattern
        self.log_view.mark(pattern)

    def find(self, pattern: str, *, backward: bool) -> None:
        """Look for a text from here on, in any case, and go there when it is found."""
        if self.filter:
            self.narrow("")
        self.mark(pattern)
        if pattern and self._read:
            self._scan(self._read, pattern.lower().encode(), backward)

    @work(group="find", exclusive=True)
    async def _scan(self, read: Read, wanted: bytes, backward: bool) -> None:  # noqa: FBT001 (a worker)
        self._say(f"looking for {plain(wanted.decode())} …")
        try:
            found = await asyncio.to_thread(search, read, wanted, self._from(backward=backward), backward=backward)
        except (Refused, Unreachable, Unintelligible, NotText) as said:
            self._say(str(said))
            return
        self._say("" if found is not None else f"{plain(wanted.decode())} is not {'above' if backward else 'below'}")
        if found is not None:
            self._found = found
            self.log_view.go_to(found)

    def _from(self, *, backward: bool) -> int:
        top, end = self.log_view.seen
        if self._found is not None and top <= self._found < end:
            return self._found if backward else self._found + 1
        return end if backward else top

    def _say(self, note: str) -> None:
        self._note = note
        self.post_message(LogView.Changed())
