"""What is looked for in a text that may be very long: the next place of it, or every line that holds it."""

from collections.abc import Callable

Read = Callable[[str], tuple[bytes, int]]  # some bytes by a range of HTTP, and how long the whole is

SCAN = 1024 * 1024  # bytes of one read
LINE = 4096  # bytes of a line that are kept
MOST = 50_000  # lines that are kept
ENDLESS = 1024 * 1024  # bytes after which a line without an end is taken as it is


def search(read: Read, wanted: bytes, start: int, *, backward: bool) -> int | None:
    """Return the position of `wanted`, in lower case, from `start` on; read in stretches that overlap by its length."""
    overlap = len(wanted) - 1
    at = start
    while True:
        first = max(at - SCAN, 0) if backward else at
        end = at + overlap if backward else at + SCAN
        if end <= first:
            return None
        data, size = read(f"{first}-{end - 1}")
        found = data.lower().rfind(wanted) if backward else data.lower().find(wanted)
        if found >= 0:
            return first + found
        at = first if backward else first + SCAN - overlap
        if (backward and first == 0) or (not backward and end >= size):
            return None


class Sieve:
    """The lines of a text that hold `wanted`, in lower case, as far as it was read: up to byte `at`."""

    def __init__(self, wanted: bytes) -> None:
        self.at = 0
        self.size: int | None = None
        self._wanted = wanted
        self._lines: list[tuple[int, bytes]] = []
        self._rest = b""
        self._unfinished = False  # whether the last line, which may go on, is one of them

    def __len__(self) -> int:
        return len(self._lines) + self._unfinished

    def __getitem__(self, at: int) -> tuple[int, bytes]:
        """Return where a line begins, and the beginning of it."""
        lines, rest = self._lines, self._rest
        return lines[at] if at < len(lines) else (self.at - len(rest), rest[:LINE])

    @property
    def full(self) -> bool:
        """Whether no more lines are kept."""
        return len(self._lines) >= MOST

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read, for now."""
        return self.full or (self.size is not None and self.at >= self.size)

    def read(self, read: Read) -> None:
        """Read a stretch further; a text that became shorter is another one, and is begun anew."""
        data, self.size = read(f"{self.at}-{self.at + SCAN - 1}")
        if self.size < self.at:
            self.at, self._lines, self._rest = 0, [], b""
        else:
            self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take what comes next."""
        first = self.at - len(self._rest)
        self.at += len(data)
        block = self._rest + data
        end = block.rfind(b"\n") + 1
        if not end and len(block) > ENDLESS:
            end = len(block)
        block, self._rest = block[:end], block[end:]
        low, at = block.lower(), 0
        while (at := low.find(self._wanted, at)) >= 0 and not self.full:
            start = low.rfind(b"\n", 0, at) + 1
            at = low.find(b"\n", at) + 1 or len(low)
            self._lines.append((first + start, block[start:at][:LINE]))
        self._unfinished = self._wanted in self._rest.lower()
