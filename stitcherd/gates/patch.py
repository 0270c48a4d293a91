"""Parses a diff of git into the changes of its files, and searches them; the content of the files is not trusted."""

import re
import stat
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Self

from msgspec import Struct, field

_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_GITLINK = 0o160000

SEARCH_CHUNK = 64 * 1024  # bytes; searching them takes some milliseconds


class UnreadableDiff(Exception):
    """The diff does not have the format that git writes."""


class LinePattern(Struct, frozen=True):
    """A pattern to search for; every match contains one of the `hints`, which are found fifty times as fast."""

    pattern: re.Pattern[bytes]
    hints: tuple[bytes, ...]

    @classmethod
    def of(cls, pattern: bytes, *hints: bytes) -> Self:
        """Compile a pattern in which `^` matches at the start of each line."""
        return cls(re.compile(pattern, re.MULTILINE), hints)


class ChangedLines(Struct, frozen=True):
    """The lines that a change removes from a file, or adds to it.

    `data` holds all lines, each with its line feed; `offsets` and `numbers` are where each run of adjacent lines
    starts in it and in the file. A patch of short lines thus takes no more memory than its size.
    """

    data: bytearray = field(default_factory=bytearray)
    offsets: "array[int]" = field(default_factory=lambda: array("Q"))
    numbers: "array[int]" = field(default_factory=lambda: array("Q"))

    def find(self, wanted: "LinePattern") -> Iterator[re.Match[bytes]]:
        """Yield the matches of a pattern that does not span lines."""
        for start, end in self.pieces():
            piece = self.data[start:end]
            if any(hint in piece for hint in wanted.hints):
                yield from wanted.pattern.finditer(self.data, start, end)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Yield where pieces of whole lines start and end; a very long line is cut.

        A single search holds the interpreter lock, so the data is searched in pieces, between which other threads run.
        """
        start = 0
        while start < len(self.data):
            end = self.data.rfind(b"\n", start, start + SEARCH_CHUNK) + 1 or start + SEARCH_CHUNK
            yield start, end
            start = end

    def line_at(self, offset: int) -> int:
        """Return the line number in the file, from 1, of an offset in `data`."""
        run = bisect_right(self.offsets, offset) - 1
        return self.numbers[run] + self.data.count(b"\n", self.offsets[run], offset)


class FileChange(Struct, frozen=True):
    """One file that differs; a mode is 0 if the file does not exist. A renamed file is two changes."""

    path: bytes
    old_mode: int
    new_mode: int
    removed: ChangedLines
    added: ChangedLines

    @property
    def is_new(self) -> bool:
        """Whether the file is added."""
        return not self.old_mode

    @property
    def is_deleted(self) -> bool:
        """Whether the file is deleted."""
        return not self.new_mode

    @property
    def is_submodule(self) -> bool:
        """Whether the path is or was a submodule."""
        return _GITLINK in {self.old_mode, self.new_mode}

    @property
    def makes_link(self) -> bool:
        """Whether the path becomes a symbolic link."""
        return stat.S_ISLNK(self.new_mode)

    @property
    def is_binary(self) -> bool:
        """Whether the new content is not text; .gitattributes is ignored, since the agent may have written it."""
        return b"\0" in self.added.data


def list_changes(entries: bytes) -> list[FileChange]:
    """Return the changes of a diff without renames, and without their lines: `entries` are as of `--raw -z`."""
    return [FileChange(*found, ChangedLines(), ChangedLines()) for found in _paths_and_modes(entries)]


def parse_diff(entries: bytes, patch: Iterable[bytes]) -> list[FileChange]:
    """Return the changes of a diff without renames: `entries` as of `--raw -z`, `patch` as the lines of `-p -U0 -a`.

    The names come from `entries`; `patch` has a section for each in the same order, and two where a file became a
    thing of another type. Raises Unreadable.
    """
    sections = _sections(iter(patch))
    changes = []
    for path, old_mode, new_mode in _paths_and_modes(entries):
        removed, added = next(sections, (None, None))
        if old_mode and new_mode and stat.S_IFMT(old_mode) != stat.S_IFMT(new_mode):
            _, added = next(sections, (None, None))
        if removed is None or added is None:
            raise UnreadableDiff("git named more files than it showed")
        changes.append(FileChange(path, old_mode, new_mode, removed, added))
    if next(sections, None) is not None:
        raise UnreadableDiff("git showed more files than it named")
    return changes


def _paths_and_modes(entries: bytes) -> Iterator[tuple[bytes, int, int]]:
    fields = iter(entries.split(b"\0")[:-1])
    for words, path in zip(fields, fields, strict=True):
        old_mode, new_mode = (int(mode, 8) for mode in words.lstrip(b":").split(b" ")[:2])
        yield path, old_mode, new_mode


def _sections(lines: Iterator[bytes]) -> Iterator[tuple[ChangedLines, ChangedLines]]:
    """Yield the lines that each section removes and adds; a hunk ends by its counts, whatever its lines look like."""
    section: tuple[ChangedLines, ChangedLines] | None = None
    for line in lines:
        if line.startswith(b"diff --git "):
            if section is not None:
                yield section
            section = ChangedLines(), ChangedLines()
        elif hunk := _HUNK.match(line):
            if section is None:
                raise UnreadableDiff("a hunk stands before the first file")
            old, olds, new, news = hunk.groups(b"1")
            _read_lines(lines, b"-", section[0], int(old), int(olds))
            _read_lines(lines, b"+", section[1], int(new), int(news))
    if section is not None:
        yield section


def _read_lines(lines: Iterator[bytes], mark: bytes, side: ChangedLines, number: int, count: int) -> None:
    if not count:
        return
    side.offsets.append(len(side.data))
    side.numbers.append(number)
    for _ in range(count):
        line = next(lines, b"")
        if line.startswith(b"\\"):  # "No newline at end of file" of the lines before
            line = next(lines, b"")
        if not line.startswith(mark):
            raise UnreadableDiff("a hunk has other lines than it says")
        side.data.extend(line[1:])


class DiffFinding(Struct, frozen=True):
    """What a rule found in a change; `line` is None for the whole file.

    A `note` never fails the gate, and a finding that `asks` does not if a person approves.
    """

    path: bytes
    line: int | None
    rule: str
    sentence: str
    note: bool = False
    asks: bool = False

    def __str__(self) -> str:
        text = self.path.decode("utf-8", "backslashreplace")
        shown = text if text.isprintable() else ascii(text)  # a name with line breaks could look like another finding
        place = shown if self.line is None else f"{shown}:{self.line}"
        return f"{place}: {'note: ' if self.note else ''}{self.rule}: {self.sentence}"
