"""The conversation of a try: the prompts that its agent was sent, and between them the output of its step."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

PROMPT_LINE = b"=== prompt ===\n"
OUTPUT_LINE = b"=== output ===\n"
CHUNK_BYTES = 256 * 1024


class SentPrompt(Struct, frozen=True):
    """A prompt, and how many bytes of output the step had when it was sent."""

    offset: int
    text: str


class _LogSpan(Struct, frozen=True):
    """A part of the log, in bytes."""

    start: int
    end: int


class Conversation:
    """The text of a conversation, put together from the log and the prompts; it only grows at its end.

    Raises FileNotFoundError where no prompt was sent.
    """

    def __init__(self, log: Path, prompts: Path) -> None:
        self._log = log
        size = log.stat().st_size if log.exists() else 0
        self._parts = _parts(_read_prompts(prompts), size)
        self.size = sum(map(_part_size, self._parts))

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from `start` up to `end`, in chunks of at most CHUNK_BYTES."""
        position = 0
        for part in self._parts:
            size = _part_size(part)
            first, last = max(start - position, 0), min(end - position, size)
            if first < last:
                yield from self._read_part(part, first, last)
            position += size

    def _read_part(self, part: bytes | _LogSpan, first: int, last: int) -> Iterator[bytes]:
        if isinstance(part, bytes):
            yield part[first:last]
            return
        with self._log.open("rb") as file:
            file.seek(part.start + first)
            left = last - first
            while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk


def append_prompt(path: Path, prompt: SentPrompt) -> None:
    """Add a prompt to the file of a step's prompts, a line of JSON each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(prompt) + b"\n")


def _read_prompts(path: Path) -> list[SentPrompt]:
    """Return the prompts that were written whole: a crash may have cut off the last line."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line, type=SentPrompt) for line in lines]


def _parts(prompts: Sequence[SentPrompt], log_size: int) -> list[bytes | _LogSpan]:
    parts: list[bytes | _LogSpan] = []
    position = 0
    for prompt in prompts:
        end = min(prompt.offset, log_size)  # the middle of a long log is left out
        if end > position:
            parts += [OUTPUT_LINE, _LogSpan(position, end)]
            position = end
        parts.append(PROMPT_LINE + prompt.text.rstrip("\n").encode(errors="replace") + b"\n\n")
    if log_size > position:
        parts += [OUTPUT_LINE, _LogSpan(position, log_size)]
    return parts


def _part_size(part: bytes | _LogSpan) -> int:
    return len(part) if isinstance(part, bytes) else part.end - part.start
