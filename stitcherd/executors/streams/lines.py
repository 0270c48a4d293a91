"""Splits the output of a program into lines, as it comes."""

from msgspec import Struct

LINE_MAX = 1 << 20  # bytes of a line that is read; a longer one is passed on in pieces


class Line(Struct, frozen=True):
    """A line without its end, or, if not `whole`, a piece of one that is too long to be read."""

    data: bytes
    whole: bool = True


class LineSplitter:
    """Splits what it is fed."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._too_long = False

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that ended in this data, and pieces of lines that are too long."""
        found = []
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._pending += piece
            found.append(self._take(ended=True))
        self._pending += rest
        if self._too_long or len(self._pending) > LINE_MAX:
            found += [self._take(ended=False)] if self._pending else []
        return found

    def end(self) -> list[Line]:
        """Return the last line, if it did not end."""
        return [self._take(ended=True)] if self._pending or self._too_long else []

    def _take(self, *, ended: bool) -> Line:
        whole = ended and not self._too_long and len(self._pending) <= LINE_MAX
        line = Line(bytes(self._pending) + (b"\n" if ended and not whole else b""), whole)
        self._pending.clear()
        self._too_long = not ended
        return line
