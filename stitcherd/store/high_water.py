"""The high-water mark of a database: the number of its last event, kept in a file beside it.

SQLite takes a damaged or missing write-ahead log for the end of what was written, and an empty file for a new database:
neither is an error to it. The mark is written after each commit, and before anybody is told of it, so that a database
with fewer events than its mark has lost some. What stores something that a caller waits for stores an event too.
"""

import os
from contextlib import suppress
from pathlib import Path

_EVENTS = 20  # digits
_SUSPECT = b"damaged"


class HighWaterMark:
    """The mark of the database at `database`; `events` is None where it has none, or one that cannot be read.

    `suspect`: a part of the database was found to be damaged.
    """

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + "-mark")
        self.events: int | None = None
        self.suspect = False
        self._file: int | None = None
        with suppress(OSError):
            fields = self.path.read_bytes().split()
            self.events = int(fields[0]) if fields and fields[0].isdigit() else None
            self.suspect = fields[1:] == [_SUSPECT]

    def raise_to(self, events: int) -> None:
        """Record the number of the last event that is on disk; a mark that cannot be written stays behind."""
        if events != self.events:
            self._write(events)

    def note_damage(self) -> None:
        """Record that a part of the database is damaged, for the next start."""
        self.suspect = True
        self._write(self.events or 0)

    def clear_damage(self) -> None:
        """Record that the whole database was checked, and is not damaged."""
        self.suspect = False
        self._write(self.events or 0)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, events: int) -> None:
        suspect = _SUSPECT if self.suspect else b" " * len(_SUSPECT)
        with suppress(OSError):  # the disk is full: nothing of the mark is changed
            if self._file is None:
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, b"%0*d %s\n" % (_EVENTS, events, suspect), 0)
            self.events = events
