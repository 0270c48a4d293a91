"""Files of an attempt: the log of each step and the diff, whole or, beyond a limit, their heads and tails."""

import re
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

DIFF_NAME = "change.diff"
_OUTPUT_NAME = re.compile(rf"\d+(\.raw)?\.log|\d+\.prompts\.jsonl|{re.escape(DIFF_NAME)}")


def log_path(state: Path, job_id: str, attempt: int, ordinal: int) -> Path:
    """Return the path of a step's log."""
    return state / "logs" / job_id / str(attempt) / f"{ordinal}.log"


def raw_log_path(state: Path, job_id: str, attempt: int, ordinal: int) -> Path:
    """Return the path of a step's raw output, which is kept beside its log and as long as that."""
    return log_path(state, job_id, attempt, ordinal).with_suffix(".raw.log")


def prompts_path(state: Path, job_id: str, attempt: int, ordinal: int) -> Path:
    """Return the path of the prompts that were sent in a step, which are kept beside its log and as long as that."""
    return log_path(state, job_id, attempt, ordinal).with_suffix(".prompts.jsonl")


def diff_path(state: Path, job_id: str, attempt: int) -> Path:
    """Return the path of an attempt's diff, which is kept beside its logs and as long as they are."""
    return state / "logs" / job_id / str(attempt) / DIFF_NAME


def find_outputs(state: Path) -> Iterator[Path]:
    """Yield the files of all attempts, without parts of those that are being written."""
    for directory in sorted(state.glob("logs/*")):
        yield from sorted(path for path in directory.glob("[0-9]*/*") if _OUTPUT_NAME.fullmatch(path.name))


def write_diff(path: Path, pieces: Iterable[bytes], limit: int) -> None:
    """Replace a diff atomically; at most `limit` bytes are kept, as of a log."""
    new = path.with_suffix(".new")
    file = StepLog(new, limit, always=True)
    for piece in pieces:
        file.write(piece)
    file.close()
    new.replace(path)


class StepLog:
    """Writes one log; at most `limit` bytes stay on disk, half of them its head.

    Behind the head two segments are written in turn, so that the newest quarter to half of the limit is always there;
    `close` appends them to the head, after a line with the number of bytes left out. Without output there is no file,
    unless `always`.
    """

    def __init__(self, path: Path, limit: int, *, always: bool = False) -> None:
        self._path = path
        self._head = self._open() if always else None
        self._head_space = limit // 2
        self._segment = max(limit // 4, 1)
        self._older: Path | None = None
        self._newer: Path | None = None
        self._tail: BinaryIO | None = None
        self._dropped = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """Append output to the log."""
        self.size += len(data)
        head, tail = data[: self._head_space], data[self._head_space :]
        if self._head is None and data:
            self._head = self._open()
        if head and self._head:
            self._head.write(head)
            self._head_space -= len(head)
        while tail:
            space = self._tail_space()
            assert self._tail is not None  # noqa: S101 (_tail_space opened it)
            self._tail.write(tail[:space])
            tail = tail[space:]

    def close(self) -> None:
        """Join the head and the tail."""
        if self._head is None:
            return
        if self._tail is not None:
            self._tail.close()
        if self._dropped:
            self._head.write(b"\n[... %d bytes left out ...]\n" % self._dropped)
        for segment in (self._older, self._newer):
            if segment is not None:
                self._head.write(segment.read_bytes())
                segment.unlink()
        self._head.close()

    def _open(self) -> FileIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.open("wb", buffering=0)

    def _tail_space(self) -> int:
        used = self._tail.tell() if self._tail is not None else self._segment
        if used < self._segment:
            return self._segment - used
        if self._tail is not None:
            self._tail.close()
        if self._older is not None:
            self._dropped += self._older.stat().st_size
        name = self._path.stem + (".tail-a" if self._newer is None else ".tail-b")
        spare = self._older or self._path.with_name(name)
        self._older, self._newer = self._newer, spare
        self._tail = spare.open("wb", buffering=0)
        return self._segment
