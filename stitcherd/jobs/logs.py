"""The log file of a step, its whole output, or, beyond a limit, its head and its tail; and an attempt's diff, alike."""

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def log_path(state: Path, job_id: str, attempt: int, ordinal: int) -> Path:
    """Return where the log of a step lies below the state directory."""
    return state / "logs" / job_id / str(attempt) / f"{ordinal}.log"


def diff_path(state: Path, job_id: str, attempt: int) -> Path:
    """Return where the diff of what an attempt changed lies, beside its logs and as long as they."""
    return state / "logs" / job_id / str(attempt) / "change.diff"


def write_diff(path: Path, pieces: Iterable[bytes], limit: int) -> None:
    """Put a diff in place of the one before, at once for whoever reads it; bounded as a log is."""
    new = path.with_suffix(".new")
    file = StepLog(new, limit)
    for piece in pieces:
        file.write(piece)
    file.close()
    new.replace(path)


class StepLog:
    """Writes one log; at most `limit` bytes stay on disk, half of them the head.

    Beyond the head two segments take turns, so that the newest quarter to half of the limit is always there;
    `close` puts them behind the head with a line that says how much is left out.
    """

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._head = path.open("wb", buffering=0)
        self._room = limit // 2
        self._segment = max(limit // 4, 1)
        self._older: Path | None = None
        self._newer: Path | None = None
        self._tail: BinaryIO | None = None
        self._dropped = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append output."""
        self.size += len(data)
        head, tail = data[: self._room], data[self._room :]
        if head:
            self._head.write(head)
            self._room -= len(head)
        while tail:
            room = self._room_in_tail()
            assert self._tail is not None  # noqa: S101 (_room_in_tail opened it)
            self._tail.write(tail[:room])
            tail = tail[room:]

    def close(self) -> None:
        """Join head and tail."""
        if self._tail is not None:
            self._tail.close()
        if self._dropped:
            self._head.write(b"\n[... %d bytes left out ...]\n" % self._dropped)
        for segment in (self._older, self._newer):
            if segment is not None:
                self._head.write(segment.read_bytes())
                segment.unlink()
        self._head.close()

    def _room_in_tail(self) -> int:
        used = self._tail.tell() if self._tail is not None else self._segment
        if used < self._segment:
            return self._segment - used
        if self._tail is not None:
            self._tail.close()
        if self._older is not None:
            self._dropped += self._older.stat().st_size
        spare = self._older or self._path.with_suffix(".tail-a" if self._newer is None else ".tail-b")
        self._older, self._newer = self._newer, spare
        self._tail = spare.open("wb", buffering=0)
        return self._segment
