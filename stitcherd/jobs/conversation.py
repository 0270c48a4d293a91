"""The conversation of a try: the prompts that its agent was sent, and between them the output of its step."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from stitcherd.jobs.outputs import Output, Outputs

PROMPT_LINE = b"=== prompt ===\n"
OUTPUT_LINE = b"=== output ===\n"


class SentPrompt(Struct, frozen=True):
    """A prompt, and how many bytes of output the step had when it was sent."""

    offset: int
    text: str


class _LogSpan(Struct, frozen=True):
    """A part of the log, in bytes."""

    start: int
    end: int


class Conversation:
    """The text of a conversation, put together from the prompts and the log; it only grows at its end."""

    def __init__(self, prompts: bytes, log: Output | None) -> None:
        self._log = log
        self._parts = _parts(_split_prompts(prompts), log.size if log else 0)
        self.size = sum(map(_part_size, self._parts))

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to `end`, in parts."""
        position = 0
        for part in self._parts:
            size = _part_size(part)
            first, last = max(start - position, 0), min(end - position, size)
            if first >= last:
                pass
            elif isinstance(part, bytes):
                yield part[first:last]
            elif self._log:
                async for chunk in self._log.read(part.start + first, part.start + last):
                    yield chunk
            position += size


async def find_conversation(outputs: Outputs, log: Path, prompts: Path) -> Conversation | None:
    """Return the conversation of a step whose outputs have these paths, None where no prompt was sent."""
    sent = await outputs.find(prompts)
    if sent is None:
        return None
    text = b"".join([chunk async for chunk in sent.read(0, sent.size)])
    return Conversation(text, await outputs.find(log))


def append_prompt(path: Path, prompt: SentPrompt) -> None:
    """Add a prompt to the file of a step's prompts, a line of JSON each."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(prompt) + b"\n")


def _split_prompts(text: bytes) -> list[SentPrompt]:
    """Return the prompts that were written whole: a crash may have cut off the last line."""
    lines = text.split(b"\n")[:-1]
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
