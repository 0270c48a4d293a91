"""What the stream of an agent's program says, line by line, and what every reader of one has in common; pure."""

import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec import Struct

from shared.models import Usage
from stitcherd.budget import Budget

DETAIL_MAX = 500  # characters of what a tool is called with, and of any other text in an event
TOKENS_MAX = 1 << 40  # more are not believed
USD_MAX = 1e9
NOTHING = Usage()
_SESSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,127}")


class Began(Struct, frozen=True):
    """The program has begun a session, or goes on in it; it may be told several times."""

    session: str


class Text(Struct, frozen=True):
    """Something for people to read, without the line feed at its end; what is `partial` goes on in the next text."""

    text: str
    partial: bool = False


class ToolCalled(Struct, frozen=True):
    """The agent calls a tool; `detail` is what with: a path, or a command."""

    id: str
    tool: str
    detail: str


class ToolDenied(Struct, frozen=True):
    """A tool call was refused by the agent's program."""

    id: str
    tool: str
    reason: str


class Used(Struct, frozen=True):
    """Usage that was not told before."""

    usage: Usage


class Ended(Struct, frozen=True):
    """The last line of the stream: how the agent says that it ended; `failure` is a sentence without its full stop.

    `over_budget` says that the program itself ended the run, because of the budget that it was given.
    """

    failure: str | None = None
    over_budget: bool = False


StreamItem: TypeAlias = Began | Text | ToolCalled | ToolDenied | Used | Ended
Document: TypeAlias = dict[str, Any]


class AgentStream(ABC):
    """Reads one stream from its first line to its last. `types` are those of its documents that are understood.

    `options` are those without which the program does not write the stream; an option may be written in several ways.
    `told` are the tokens that the session has used in all, where its streams count from the start of the session on.
    """

    types: ClassVar[frozenset[str]]
    options: ClassVar[tuple[tuple[str, ...], ...]]

    def __init__(self, told: Usage = NOTHING) -> None:
        """Read the stream of a session whose earlier streams have told this usage."""
        self.told = told

    @staticmethod
    def arguments(_budget: Budget, _tools: Collection[str] | None = None) -> tuple[str, ...]:
        """Return what is added to the command line, to let the program itself hold a budget and a list of tools."""
        return ()

    @staticmethod
    @abstractmethod
    def resume(argv: Sequence[str], session: str) -> tuple[str, ...]:
        """Return the command line that goes on in a session of this command line."""

    @classmethod
    def missing_options(cls, argv: Sequence[str]) -> list[str]:
        """Return the options that a command line needs for this stream and does not have."""
        words = [part for word in argv for part in word.split("=", 1)]
        return [ways[0] for ways in cls.options if not any(_contains(words, way.split()) for way in ways)]

    def feed(self, line: bytes) -> list[StreamItem]:
        """Return what a line says, without its line feed; a line that is not understood is text, whatever it is."""
        try:
            document = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = None
        if not isinstance(document, dict) or text_at(document, "type") not in self.types:
            return [Text(line.decode("utf-8", "replace"))] if line.strip() else []
        return self.read(document)

    @abstractmethod
    def read(self, document: Document) -> list[StreamItem]:
        """Return what one document says; one that says nothing known is left out."""


def _contains(words: Sequence[str], part: Sequence[str]) -> bool:
    return any(words[at : at + len(part)] == part for at in range(len(words)))


def began(document: Document, key: str) -> list[StreamItem]:
    """Return that the session at a key has begun; nothing where there is none, or one that could be an option."""
    session = text_at(document, key)
    return [Began(session)] if _SESSION.fullmatch(session) else []


def child(document: object, *keys: str) -> Document:
    """Return the document at a path of keys, an empty one where there is none."""
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def children(document: object, key: str) -> list[Document]:
    """Return the documents in the list at a key."""
    found = document.get(key) if isinstance(document, dict) else None
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def text_at(document: Document, key: str) -> str:
    """Return the text at a key, empty where there is none."""
    found = document.get(key)
    return found if isinstance(found, str) else ""


def line_at(document: Document, key: str) -> str:
    """Return the text at a key as one line of limited length, for an event."""
    return one_line(text_at(document, key))


def one_line(text: str) -> str:
    """Return a text as one line of limited length."""
    return " ".join(text.split())[:DETAIL_MAX]


def count_at(document: Document, key: str) -> int:
    """Return the count at a key, 0 where there is none that can be believed."""
    found = document.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < TOKENS_MAX else 0


def dollars_at(document: Document, key: str) -> float:
    """Return the amount at a key, 0 where there is none that can be believed."""
    found = document.get(key)
    if not isinstance(found, int | float) or isinstance(found, bool) or not 0 < found < USD_MAX:
        return 0.0
    return round(float(found), 6)


def tool_call(id_: str, tool: str, arguments: Document) -> ToolCalled:
    """Return a call with what people want to see of its arguments: the first text among them."""
    detail = next((value for value in arguments.values() if isinstance(value, str)), "")
    return ToolCalled(id_, tool, one_line(detail))
